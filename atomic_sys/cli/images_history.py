# SPDX-License-Identifier: LGPL-2.1-or-later
"""The command line of `atomic images history`."""

import argparse

from atomic_sys.cli.arguments import add_storage, check_storage
from atomic_sys.cli.opening import open_host
from atomic_sys.cli.options import GlobalOptions
from atomic_sys.cli.output import Column, Output, print_table
from atomic_sys.errors import ExitCode
from atomic_sys.verbs.image_details import history

_COLUMNS = (
    Column(title="ID", width=12),
    Column(title="CREATED", width=19),
    Column(title="CREATED BY", width=45),
    Column(title="SIZE"),
    Column(title="COMMENT", width=40),
)
_MISSING = "<missing>"


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add = parser.add_argument
    add("image", metavar="IMAGE", help="name, or the beginning of an id")
    add("--no-trunc", action="store_true", help="show long values whole")
    add("-q", "--quiet", action="store_true", help="show ids only")
    add_storage(parser)
    add("--json", action="store_true", help="print JSON")


def run(arguments: argparse.Namespace, options: GlobalOptions) -> ExitCode:
    """Print the steps, the last one first; only the last one has an id: the image's."""
    check_storage(arguments)
    with open_host(options) as host:
        item, steps = history(arguments.image, host)
    ids = [item.image.digest.hex, *(_MISSING for _ in steps)]
    if arguments.quiet:
        for name, _ in zip(ids, steps, strict=False):
            print(name if arguments.no_trunc or name == _MISSING else name[:12])
        return ExitCode.DONE
    if arguments.json:
        Output(json=True).emit([
            {
                "id": name,
                "created": step.created,
                "createdBy": step.created_by,
                "size": step.size,
                "comment": step.comment,
                "emptyLayer": step.empty,
            }
            for name, step in zip(ids, steps, strict=False)
        ])
        return ExitCode.DONE
    rows = [
        (
            name,
            step.created.replace("T", " "),
            step.created_by,
            "" if step.size is None else f"{step.size} B",
            step.comment,
        )
        for name, step in zip(ids, steps, strict=False)
    ]
    print_table(_COLUMNS, rows, heading=True, truncate=not arguments.no_trunc)
    return ExitCode.DONE
