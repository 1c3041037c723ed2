# SPDX-License-Identifier: LGPL-2.1-or-later
"""The command line of `atomic uninstall`."""

import argparse

from atomic_sys.cli.arguments import add_lock_timeout, add_storage, check_storage
from atomic_sys.cli.opening import open_host
from atomic_sys.cli.options import GlobalOptions
from atomic_sys.cli.output import Output
from atomic_sys.cli.progress import PlainReport
from atomic_sys.errors import ExitCode
from atomic_sys.model.names import ContainerName
from atomic_sys.verbs.uninstall import uninstall


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("name", metavar="NAME", help="the container")
    parser.add_argument("-f", "--force", action="store_true", help=argparse.SUPPRESS)
    add_storage(parser)
    add_lock_timeout(parser)


def run(arguments: argparse.Namespace, options: GlobalOptions) -> ExitCode:
    """Remove it."""
    check_storage(arguments)
    with open_host(options, lock_timeout=arguments.lock_timeout) as host:
        uninstall(ContainerName.parse(arguments.name), host, PlainReport(Output()))
    return ExitCode.DONE
