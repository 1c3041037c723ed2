# SPDX-License-Identifier: LGPL-2.1-or-later
"""Arguments that several verbs share, in the predecessor's spelling."""

import argparse
import os
from collections.abc import Iterable
from typing import NoReturn

from atomic_sys.cli.options import LOCK_HELP, GlobalOptions, seconds
from atomic_sys.errors import UsageError


def add_storage(parser: argparse.ArgumentParser) -> None:
    """`--storage ostree`: the only storage there is; scripts of the predecessor name it."""
    parser.add_argument("--storage", metavar="STORAGE", help="only 'ostree' (the default)")


def check_storage(arguments: argparse.Namespace) -> None:
    """Raises UsageError for the docker storage of the predecessor."""
    if arguments.storage not in (None, "ostree"):
        raise UsageError(
            f"The storage backend '{arguments.storage}' is not available.",
            hint="system containers are kept in the storage 'ostree'",
        )


def add_display(parser: argparse.ArgumentParser) -> None:
    """`--display`."""
    parser.add_argument("--display", action="store_true", help="only show what would be done")


def add_authfile(parser: argparse.ArgumentParser) -> None:
    """`--authfile FILE`, behind the verb too, where other tools have it."""
    parser.add_argument("--authfile", metavar="FILE", help="instead of the user's auth.json")


def add_source_credentials(parser: argparse.ArgumentParser) -> None:
    """`--src-creds USER[:PASSWORD]`."""
    parser.add_argument(
        "--src-creds", metavar="USER[:PASSWORD]", help="credentials for the image's registry"
    )


def add_tls_verify(parser: argparse.ArgumentParser, option: str, whose: str) -> None:
    """`--tls-verify BOOL`, which is called `option` here, as skopeo and podman have it."""
    parser.add_argument(
        option,
        type=_boolean,
        default=True,
        metavar="BOOL",
        help=f"false: {whose} need not prove who it is, nor have TLS",
    )


def _boolean(text: str) -> bool:
    """`true` or `false`. Raises ArgumentTypeError."""
    known = {"true": True, "1": True, "false": False, "0": False}
    if text.lower() not in known:
        raise argparse.ArgumentTypeError(f"{text!r} is neither true nor false")
    return known[text.lower()]


def add_lock_timeout(parser: argparse.ArgumentParser) -> None:
    """`--lock-timeout SECONDS`, behind the verb too."""
    parser.add_argument("--lock-timeout", type=seconds, metavar="SECONDS", help=LOCK_HELP)


def add_rootfs(parser: argparse.ArgumentParser) -> None:
    """`--rootfs DIR`."""
    parser.add_argument(
        "--rootfs",
        metavar="DIR",
        help="run from the files in DIR, which many hosts may share, and make no copy of them",
    )


def rootfs(arguments: argparse.Namespace, options: GlobalOptions) -> str | None:
    """The directory of `--rootfs`, as seen from inside the root. Raises UsageError."""
    path: str | None = arguments.rootfs
    if path is None:
        return None
    if options.root != "/" and not path.startswith("/"):
        raise UsageError(
            f"--rootfs {path}: not an absolute path", hint=f"it is below {options.root}"
        )
    if not path:
        raise UsageError("--rootfs: the path is empty")
    return "/" + os.path.abspath(path).lstrip("/")


def add_list_options(parser: argparse.ArgumentParser) -> None:
    """What both lists have in common."""
    add = parser.add_argument
    add("-a", "--all", action="store_true", help="show everything")
    add("-f", "--filter", action="append", default=[], metavar="KEY=VALUE", dest="filters")
    add("-n", "--noheading", action="store_true", help="leave out the heading")
    add("--no-trunc", action="store_true", help="show long values whole")
    add("-q", "--quiet", action="store_true", help="show ids only")
    add("--json", action="store_true", help="print JSON")


def parse_pairs(texts: Iterable[str], what: str) -> tuple[tuple[str, str], ...]:
    """`KEY=VALUE` of each. Raises UsageError."""
    return tuple(_pair(text, what) for text in texts)


def _pair(text: str, what: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals or not key:
        _malformed(text, what)
    return key, value


def _malformed(text: str, what: str) -> NoReturn:
    raise UsageError(f"The {what} {text} is not formatted correctly.  It should be VAR=VALUE")


def check_filter_keys(filters: Iterable[tuple[str, str]], known: Iterable[str]) -> None:
    """Raises UsageError for a filter that does not exist."""
    names = list(known)
    for key, _ in filters:
        if key not in names:
            raise UsageError(f"The filter {key} is not valid.  Please choose from {names}")


def add_assume_yes(parser: argparse.ArgumentParser) -> None:
    """`-y`, behind the verb too."""
    parser.add_argument("-y", "--assumeyes", action="store_true", help="answer yes to questions")


def add_transport(parser: argparse.ArgumentParser) -> None:
    """Which images a scope of the policy is about."""
    parser.add_argument(
        "--sigstoretype",
        "--transport",
        dest="transport",
        default="web",
        metavar="TRANSPORT",
        help="web (docker, the default), local (dir), atomic, oci, oci-archive, ...",
    )
