# SPDX-License-Identifier: LGPL-2.1-or-later
"""The command line of `atomic images version`."""

import argparse

from atomic_sys.cli.arguments import add_storage, check_storage
from atomic_sys.cli.opening import open_host
from atomic_sys.cli.options import GlobalOptions
from atomic_sys.cli.output import Column, Output, print_table
from atomic_sys.errors import ExitCode
from atomic_sys.verbs.image_details import version

_COLUMNS = (
    Column(title="IMAGE NAME"),
    Column(title="VERSION", width=40),
    Column(title="IMAGE ID", width=12),
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add = parser.add_argument
    add("image", metavar="IMAGE", help="name, or the beginning of an id")
    add("-r", "--recurse", action="store_true", help=argparse.SUPPRESS)  # of the docker backend
    add_storage(parser)
    add("--json", action="store_true", help="print JSON")


def run(arguments: argparse.Namespace, options: GlobalOptions) -> ExitCode:
    """Print name, version and id."""
    check_storage(arguments)
    with open_host(options) as host:
        item, text = version(arguments.image, host)
    row = (str(item.image.name), text, item.image.digest.hex)
    if arguments.json:
        Output(json=True).emit(dict(zip(("image", "version", "id"), row, strict=True)))
    else:
        print_table(_COLUMNS, [row], heading=True, truncate=True)
    return ExitCode.DONE
