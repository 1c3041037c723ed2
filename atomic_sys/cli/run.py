# SPDX-License-Identifier: LGPL-2.1-or-later
"""The command line of `atomic run`."""

import argparse
import sys

from atomic_sys.cli.arguments import add_storage, check_storage
from atomic_sys.cli.opening import open_host
from atomic_sys.cli.options import GlobalOptions
from atomic_sys.errors import ExitCode, UsageError
from atomic_sys.model.names import ContainerName
from atomic_sys.verbs import services
from atomic_sys.verbs.services import Execution


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add = parser.add_argument
    add("-d", "--detach", action="store_true", help="do not wait for the command")
    add_storage(parser)
    add("name", metavar="NAME", help="the container")
    add("command", metavar="COMMAND", nargs=argparse.REMAINDER, help="what to run in it")
    parser.epilog = (
        "Without a command, start the container's service. The exit status is the command's."
    )


def run(arguments: argparse.Namespace, options: GlobalOptions) -> int:
    """Start it, or run the command."""
    check_storage(arguments)
    name = ContainerName.parse(arguments.name)
    with open_host(options) as host:
        if not arguments.command:
            if arguments.detach:
                raise UsageError("--detach needs a command")
            services.start(name, host)
            return ExitCode.DONE
        terminal = sys.stdin.isatty() and not arguments.detach
        execution = Execution(command=arguments.command, terminal=terminal, detach=arguments.detach)
        return services.run(name, execution, host)
