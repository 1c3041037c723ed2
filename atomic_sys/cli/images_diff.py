# SPDX-License-Identifier: LGPL-2.1-or-later
"""The command line of `atomic images diff`."""

import argparse

from atomic_sys.cli.arguments import add_storage, check_storage
from atomic_sys.cli.opening import open_host
from atomic_sys.cli.options import GlobalOptions
from atomic_sys.cli.output import Output
from atomic_sys.errors import ExitCode
from atomic_sys.verbs.image_files import differences


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add = parser.add_argument
    add("image", metavar="OLD", help="image or container; alone: what its last layer changed")
    add("other", metavar="NEW", nargs="?", help="image or container")
    add_storage(parser)
    add("--json", action="store_true", help="print JSON")
    add("--format", choices=["json"], help="the same, in podman's spelling")
    add("-v", "--verbose", action="store_true", help=argparse.SUPPRESS)  # of the predecessor


def run(arguments: argparse.Namespace, options: GlobalOptions) -> ExitCode:
    """Print a line for each path that differs, `A`dded, `C`hanged or `D`eleted, sorted by path."""
    check_storage(arguments)
    with open_host(options) as host:
        found = differences(arguments.image, arguments.other, host)
    if arguments.json or arguments.format is not None:
        Output(json=True).emit({
            "added": list(found.added),
            "changed": list(found.changed),
            "deleted": list(found.deleted),
        })
        return ExitCode.DONE
    output = Output()
    lines = [
        *((path, "A") for path in found.added),
        *((path, "C") for path in found.changed),
        *((path, "D") for path in found.deleted),
    ]
    for path, kind in sorted(lines):
        output.say(f"{kind} {path}")
    return ExitCode.DONE
