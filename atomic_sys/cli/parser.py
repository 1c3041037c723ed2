# SPDX-License-Identifier: LGPL-2.1-or-later
"""argv -> the verb and its arguments; only the module of that verb is imported.

`atomic [OPTIONS] VERB [SUBVERB] ...`. What is imported here is what `atomic --version` costs.
"""

import argparse
import contextlib
import importlib
import os
import sys
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple, NoReturn, Protocol

from atomic_sys import __version__, log
from atomic_sys.cli.options import LOCK_HELP, GlobalOptions, seconds
from atomic_sys.errors import ExitCode, UsageError

_COLUMNS = 80  # where nobody says how many there are
_MARGIN = 2  # argparse's


class VerbModule(Protocol):
    """What a module of a verb offers."""

    def configure(self, parser: argparse.ArgumentParser) -> None:
        """Declare its arguments."""
        ...

    def run(self, arguments: argparse.Namespace, options: GlobalOptions) -> int:
        """Do it and print the answer; the exit code."""
        ...


class Verb(NamedTuple):
    """A row of the command table; a hidden one is another name, for scripts that know it."""

    words: str
    module: str
    summary: str
    takes_command: bool = False  # all that follows its name is a command of the user's
    hidden: bool = False


VERBS = (
    Verb("install", "install", "install an image as a system container"),
    Verb("uninstall", "uninstall", "remove a system container, keeping its state"),
    Verb("update", "update", "update containers, or images, by their names"),
    Verb("run", "run", "start a container, run a command in it, or an image", takes_command=True),
    Verb("stop", "stop", "stop containers"),
    Verb("pull", "pull", "pull an image into the store"),
    Verb("push", "push", "copy an image of the store to a registry"),
    Verb("copy", "copy", "copy an image from anywhere to anywhere, if the policy accepts it"),
    Verb("sign", "sign", "sign images"),
    Verb("login", "login", "log in to a registry"),
    Verb("logout", "logout", "forget the credentials for a registry"),
    Verb("inspect", "inspect", "show an image of a registry, a file or the store, pulling nothing"),
    Verb("list-tags", "list_tags", "list the tags of a repository in a registry"),
    Verb("mount", "mount", "show the files of an image or a container at a directory"),
    Verb("unmount", "unmount", "take away what was mounted at a directory"),
    Verb("containers list", "containers_list", "list system containers"),
    Verb("containers status", "containers_status", "show one container in detail"),
    Verb("containers exec", "containers_exec", "run a command in a container", takes_command=True),
    Verb("containers logs", "containers_logs", "show the journal of a container"),
    Verb("containers ps", "containers_ps", "show the processes of a container"),
    Verb("containers stats", "containers_stats", "show what containers take of the host"),
    Verb("containers verify", "containers_verify", "compare containers with the store"),
    Verb("containers delete", "containers_delete", "remove system containers"),
    Verb("containers update", "containers_update", "update containers, and see that they work"),
    Verb("containers rollback", "containers_rollback", "go back to an earlier deployment"),
    Verb("containers deployments", "containers_deployments", "list a container's deployments"),
    Verb("containers hold", "containers_hold", "keep a container from being updated"),
    Verb("containers unhold", "containers_unhold", "let a held container be updated again"),
    Verb("containers recover", "containers_recover", "deal with what interrupted commands left"),
    Verb("containers protect", "containers_protect", "protect containers' files from accidents"),
    Verb("images list", "images_list", "list the images of the store"),
    Verb("images info", "images_info", "show the labels and the variables of an image"),
    Verb("images version", "images_version", "show the version of an image"),
    Verb("images inspect", "images_inspect", "show an image of the store in detail, as JSON"),
    Verb("images history", "images_history", "show the steps that an image was built in"),
    Verb("images diff", "images_diff", "show which files differ between two images"),
    Verb("images checkout", "images_checkout", "write the files of an image to a new directory"),
    Verb("images tag", "images_tag", "give an image of the store one more name"),
    Verb("images help", "images_help", "show the help that an image brings"),
    Verb("images save", "images_save", "write images of the store into an archive"),
    Verb("images load", "images_load", "bring the images of an archive into the store"),
    Verb("images update", "images_update", "pull images again whose sources have other ones now"),
    Verb("images delete", "images_delete", "remove images from the store"),
    Verb("images verify", "images_verify", "check every object of images, and repair them"),
    Verb("images prune", "images_prune", "remove what no image and no container needs"),
    Verb("fsck", "fsck", "check every object and every image of the store, and repair it"),
    Verb("trust show", "trust_show", "show whose images are trusted"),
    Verb("trust add", "trust_add", "trust whoever has a key with the images of a scope"),
    Verb("trust delete", "trust_delete", "remove a scope from the policy"),
    Verb("trust default", "trust_default", "accept or reject what no scope names"),
    Verb("trust reset", "trust_reset", "begin anew with a policy that rejects everything"),
    Verb("trust check", "trust_check", "judge an image where it is, and explain the verdict"),
    Verb("trust audit", "trust_audit", "judge what the containers were installed from"),
    Verb("trust lint", "trust_lint", "show what is wrong with the policy"),
    Verb("trust generate-key", "trust_generate_key", "make a key pair for sigstore signatures"),
    Verb("diff", "images_diff", "the same as images diff", hidden=True),
    Verb("help", "images_help", "the same as images help", hidden=True),
    Verb("info", "images_info", "the same as images info", hidden=True),
    Verb("umount", "unmount", "the same as unmount", hidden=True),
    Verb("upload", "push", "the same as push", hidden=True),
    Verb("verify", "images_verify", "the same as images verify", hidden=True),
    Verb("version", "images_version", "the same as images version", hidden=True),
)
GROUPS = {
    "containers": "operate on system containers",
    "images": "operate on the images of the store",
    "trust": "decide whose images are trusted",
}


class Parser(argparse.ArgumentParser):
    """argparse, with the predecessor's way to complain."""

    def error(self, message: str) -> NoReturn:
        """Raise UsageError, for main() to print."""
        raise UsageError(message, hint=f"Try '{self.prog} --help' for more information.")


def _wide(
    formatter: type[argparse.HelpFormatter] = argparse.HelpFormatter,
) -> Callable[..., argparse.HelpFormatter]:
    """The formatter, as wide as the terminal.

    argparse asks shutil for that with each argument that is declared, and shutil loads three
    compressors: 2 ms, for who wants no help. This asks as shutil does.
    """
    given = os.environ.get("COLUMNS", "")
    columns = int(given) if given.isdecimal() else 0
    if not columns:
        with contextlib.suppress(OSError):  # no terminal
            columns = os.get_terminal_size().columns
    return partial(formatter, width=(columns or _COLUMNS) - _MARGIN)


def _top_parser() -> Parser:
    parser = Parser(
        prog="atomic",
        description="Install system containers: OCI images that run as systemd services.",
        epilog=_verbs_help(VERBS),
        formatter_class=_wide(argparse.RawDescriptionHelpFormatter),
        usage="atomic [OPTIONS] VERB ...",
    )
    add = parser.add_argument
    add("-v", "--version", action="version", version=__version__, help="show the version and exit")
    add("--debug", action="store_true", help="tell each step, and the traceback of an error")
    add("-i", "--ignore", action="store_true", help=argparse.SUPPRESS)  # of the docker backend
    add("-y", "--assumeyes", action="store_true", help="answer yes to every question")
    add("--root", default="/", metavar="DIR", help="work on the system below DIR, offline")
    add("--policy", metavar="FILE", help="trust policy instead of /etc/containers/policy.json")
    add("--require-signed", action="store_true", help="accept only what a signature is asked for")
    add("--registries-conf", metavar="FILE", help="instead of /etc/containers/registries.conf")
    add("--registries.d", metavar="DIR", dest="registries_d", help="where signatures are looked up")
    add("--authfile", metavar="FILE", help="credentials, instead of the user's auth.json")
    add("--lock-timeout", type=seconds, metavar="SECONDS", help=LOCK_HELP)
    add("--override-arch", metavar="ARCH", help="choose images for ARCH, not for this machine")
    add("--override-os", metavar="OS", help="choose images for OS")
    add("--override-variant", metavar="VARIANT", help="choose images for this variant of ARCH")
    add("verb", metavar="VERB", nargs="?", help=argparse.SUPPRESS)
    add("arguments", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    return parser


def _verbs_help(verbs: Sequence[Verb]) -> str:
    shown = [verb for verb in verbs if not verb.hidden]
    width = max(len(verb.words) for verb in shown)
    return "verbs:\n" + "\n".join(f"  {v.words:<{width}}  {v.summary}" for v in shown)


def dispatch(argv: Sequence[str]) -> int:
    """Parse the command line and run its verb.

    Raises UsageError for a line that makes no sense, and whatever the verb raises. `--help` and
    `--version` print and raise SystemExit(0).
    """
    top = _top_parser()
    parsed = top.parse_args(argv)
    log.set_debug(enabled=parsed.debug)
    if parsed.verb is None:
        top.error("a verb is required")
    verb, rest = _find(top, parsed.verb, parsed.arguments)
    module: VerbModule = importlib.import_module(f"atomic_sys.cli.{verb.module}")
    parser = Parser(
        prog=f"atomic {verb.words}",
        description=_sentence(verb.summary),
        formatter_class=_wide(),
    )
    module.configure(parser)
    parse = parser.parse_args if verb.takes_command else parser.parse_intermixed_args
    arguments = parse(list(rest))
    options = GlobalOptions(
        root=parsed.root,
        assume_yes=parsed.assumeyes,
        policy=parsed.policy,
        require_signed=parsed.require_signed,
        registries_conf=parsed.registries_conf,
        registries_d=parsed.registries_d,
        authfile=parsed.authfile,
        lock_timeout=parsed.lock_timeout,
        override_os=parsed.override_os,
        override_arch=parsed.override_arch,
        override_variant=parsed.override_variant,
    )
    return module.run(arguments, options)


def _find(top: Parser, word: str, rest: Sequence[str]) -> tuple[Verb, Sequence[str]]:
    """The row of the verb, and the arguments behind it."""
    table = {verb.words: verb for verb in VERBS}
    if word in table:
        return table[word], rest
    if word not in GROUPS:
        _unknown(top, "", word)
    group = [verb for verb in VERBS if verb.words.startswith(f"{word} ")]
    if rest and (verb := table.get(f"{word} {rest[0]}")):
        return verb, rest[1:]
    if rest and rest[0] in ("-h", "--help"):
        print(f"usage: atomic {word} VERB ...\n\n{_sentence(GROUPS[word])}\n\n{_verbs_help(group)}")
        sys.exit(ExitCode.DONE)
    parser = Parser(prog=f"atomic {word}")
    return _unknown(parser, word, rest[0]) if rest else parser.error("a verb is required")


def _unknown(parser: Parser, group: str, word: str) -> NoReturn:
    """Say which verbs may have been meant: those of that name elsewhere, or else those alike."""
    from difflib import get_close_matches  # costs as much as all else here, for an error only

    shown = [verb.words for verb in VERBS if not verb.hidden]
    words = [verb.removeprefix(f"{group} ") for verb in shown if verb.startswith(f"{group} ")]
    if not group:
        words = [verb for verb in shown if " " not in verb] + list(GROUPS)
    near = [verb for verb in shown if verb.rpartition(" ")[2] == word]
    near = near or [f"{group} {one}".lstrip() for one in get_close_matches(word, words)]
    if not near:
        parser.error(f"unknown verb {word!r}")
    meant = " or ".join(f"atomic {one}" for one in near)
    raise UsageError(f"unknown verb {word!r}", hint=f"did you mean {meant}?")


def _sentence(summary: str) -> str:
    return f"{summary[0].upper()}{summary[1:]}."
