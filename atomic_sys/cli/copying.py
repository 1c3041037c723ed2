# SPDX-License-Identifier: LGPL-2.1-or-later
"""What `copy` and `push` have in common: their options, in skopeo's spelling, and the answer."""

import argparse
import contextlib
from collections.abc import Iterator

from atomic_sys.cli.arguments import add_tls_verify
from atomic_sys.cli.output import Output
from atomic_sys.cli.progress import QuietReport, reporting
from atomic_sys.engine.copy import Copied
from atomic_sys.engine.report import Report
from atomic_sys.errors import AtomicSysError


def add_destination_options(parser: argparse.ArgumentParser) -> None:
    """Those of a copy to a registry, and of what is printed."""
    add = parser.add_argument
    add("--dest-creds", metavar="USER[:PASSWORD]", help="credentials for the registry written to")
    add_tls_verify(parser, "--dest-tls-verify", "that registry")
    add("--remove-signatures", action="store_true", help="leave the signatures behind")
    add("--digestfile", metavar="FILE", help="write the digest of what was copied to the file")
    add("-q", "--quiet", action="store_true", help="print no progress")
    add("--json", action="store_true", help="print the result as JSON")


@contextlib.contextmanager
def telling(output: Output, *, quiet: bool) -> Iterator[Report]:
    """What the copy reports to, for the length of the block."""
    if quiet:
        yield QuietReport()
        return
    with reporting(output) as report:
        yield report


def answer(copied: Copied, output: Output, *, image: str, destination: str | None) -> None:
    """Print the result where it is wanted."""
    if output.json:
        output.emit({
            "image": image,
            "destination": destination,
            "digest": str(copied.digest),
            "media_type": copied.media_type,
            "blobs": copied.blobs,
            "signatures": copied.signatures,
            "accepted": [
                {"digest": str(digest), "verdict": verdict.as_json(image)}
                for digest, verdict in copied.verdicts
            ],
        })


def write_digest(copied: Copied, path: str | None) -> None:
    """The digest alone, without a newline, as skopeo and podman write it."""
    if path is None:
        return
    try:
        with open(path, "w", encoding="ascii") as file:
            file.write(str(copied.digest))
    except OSError as error:
        raise AtomicSysError(f"cannot write {path}: {error.strerror}") from error
