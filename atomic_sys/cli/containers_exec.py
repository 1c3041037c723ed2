# SPDX-License-Identifier: LGPL-2.1-or-later
"""The command line of `atomic containers exec`."""

import argparse
import sys

from atomic_sys.cli.opening import open_host
from atomic_sys.cli.options import GlobalOptions
from atomic_sys.errors import UsageError
from atomic_sys.model.names import ContainerName
from atomic_sys.verbs.services import Execution, execute


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add = parser.add_argument
    add("-i", "--interactive", action="store_true", help=argparse.SUPPRESS)  # it always is
    add("-t", "--tty", action="store_true", help="give it a terminal (the default at one)")
    add("-T", "--no-tty", action="store_true", help="give it none")
    add("-d", "--detach", action="store_true", help="do not wait for it")
    add("-u", "--user", metavar="UID[:GID]", help="run it as this user of the container")
    add("-w", "--workdir", metavar="DIR", help="run it in this directory of the container")
    add("-e", "--env", metavar="NAME=VALUE", action="append", default=[], help="set a variable")
    add("name", metavar="NAME", help="the container, which must be running")
    add(
        "command",
        metavar="COMMAND",
        nargs=argparse.REMAINDER,
        help="what to run, with its arguments",
    )
    parser.epilog = "The exit status is the command's."


def run(arguments: argparse.Namespace, options: GlobalOptions) -> int:
    """Run the command and pass its exit status on."""
    if not arguments.command:
        raise UsageError("a command is required")
    at_terminal = sys.stdin.isatty() and sys.stdout.isatty() and not arguments.detach
    execution = Execution(
        command=arguments.command,
        terminal=(at_terminal or arguments.tty) and not arguments.no_tty,
        detach=arguments.detach,
        user=arguments.user,
        directory=arguments.workdir,
        environment=arguments.env,
    )
    with open_host(options) as host:
        return execute(ContainerName.parse(arguments.name), execution, host)
