# SPDX-License-Identifier: LGPL-2.1-or-later
"""The command line of `atomic stop`."""

import argparse

from atomic_sys.cli.arguments import add_display
from atomic_sys.cli.opening import open_host
from atomic_sys.cli.options import GlobalOptions
from atomic_sys.errors import ExitCode
from atomic_sys.model.names import ContainerName
from atomic_sys.verbs.services import stop, unit_of


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("names", metavar="NAME", nargs="+", help="the containers")
    add_display(parser)


def run(arguments: argparse.Namespace, options: GlobalOptions) -> ExitCode:
    """Stop them, one after the other."""
    names = [ContainerName.parse(name) for name in arguments.names]
    with open_host(options) as host:
        for name in names:
            if arguments.display:
                print(f"systemctl stop {unit_of(name, host)}")
            else:
                stop(name, host)
    return ExitCode.DONE
