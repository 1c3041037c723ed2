# SPDX-License-Identifier: LGPL-2.1-or-later
"""The command line of `atomic containers hold`."""

import argparse

from atomic_sys import log
from atomic_sys.cli.arguments import add_lock_timeout
from atomic_sys.cli.opening import open_host
from atomic_sys.cli.options import GlobalOptions
from atomic_sys.cli.output import Output
from atomic_sys.cli.progress import PlainReport
from atomic_sys.errors import ExitCode
from atomic_sys.model.names import ContainerName
from atomic_sys.verbs.state import set_held


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("name", metavar="NAME", help="the container")
    add_lock_timeout(parser)


def run(arguments: argparse.Namespace, options: GlobalOptions) -> ExitCode:
    """Record it."""
    name = ContainerName.parse(arguments.name)
    with open_host(options, lock_timeout=arguments.lock_timeout) as host:
        if set_held(name, host, PlainReport(Output()), held=True):
            log.note(f"{name} is held")
    return ExitCode.DONE
