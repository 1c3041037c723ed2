# SPDX-License-Identifier: LGPL-2.1-or-later
"""The command line of `atomic containers ps`."""

import argparse
import time
from dataclasses import asdict

from atomic_sys.cli.opening import open_host
from atomic_sys.cli.options import GlobalOptions
from atomic_sys.cli.output import Column, Output, print_table
from atomic_sys.errors import ExitCode
from atomic_sys.model.names import ContainerName
from atomic_sys.verbs.processes import processes

_COLUMNS = (
    Column(title="PID"),
    Column(title="PPID"),
    Column(title="USER"),
    Column(title="STARTED"),
    Column(title="TIME"),
    Column(title="COMMAND", width=60),
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add = parser.add_argument
    add("name", metavar="NAME", help="the container, which must be running")
    add("-n", "--noheading", action="store_true", help="leave out the heading")
    add("--no-trunc", action="store_true", help="show long commands whole")
    add("--json", action="store_true", help="print JSON")


def run(arguments: argparse.Namespace, options: GlobalOptions) -> ExitCode:
    """Print them; the numbers are those of the host."""
    with open_host(options) as host:
        found = processes(ContainerName.parse(arguments.name), host)
    if arguments.json:
        Output(json=True).emit([asdict(process) for process in found])
        return ExitCode.DONE
    rows = [
        (
            str(process.pid),
            str(process.parent),
            process.user,
            time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(process.started)),
            f"{int(process.cpu) // 60}:{process.cpu % 60:05.2f}",
            process.command,
        )
        for process in found
    ]
    print_table(_COLUMNS, rows, heading=not arguments.noheading, truncate=not arguments.no_trunc)
    return ExitCode.DONE
