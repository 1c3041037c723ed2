# SPDX-License-Identifier: LGPL-2.1-or-later
"""The command line of `atomic images inspect`."""

import argparse

from atomic_sys.cli.arguments import add_storage, check_storage
from atomic_sys.cli.opening import open_host
from atomic_sys.cli.options import GlobalOptions
from atomic_sys.cli.output import Output
from atomic_sys.errors import ExitCode
from atomic_sys.verbs.image_details import inspect


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("images", metavar="IMAGE", nargs="+", help="name, or beginning of an id")
    add_storage(parser)


def run(arguments: argparse.Namespace, options: GlobalOptions) -> ExitCode:
    """Print an array of what is known of each."""
    check_storage(arguments)
    with open_host(options) as host:
        Output(json=True).emit([inspect(image, host) for image in arguments.images])
    return ExitCode.DONE
