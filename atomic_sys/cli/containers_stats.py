# SPDX-License-Identifier: LGPL-2.1-or-later
"""The command line of `atomic containers stats`."""

import argparse
from collections.abc import Sequence

from atomic_sys.cli.opening import open_host
from atomic_sys.cli.options import GlobalOptions
from atomic_sys.cli.output import Column, Output, print_table
from atomic_sys.errors import ExitCode, UsageError
from atomic_sys.host import Host
from atomic_sys.model.names import ContainerName
from atomic_sys.verbs.containers import list_containers
from atomic_sys.verbs.processes import Usage, usage

_TITLES = ("NAME", "CPU %", "MEMORY", "LIMIT", "PIDS", "READ", "WRITTEN")
_INTERVAL = 1.0  # seconds that the use of processors is measured over
_UNITS = ("B", "kB", "MB", "GB", "TB")


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add = parser.add_argument
    add("names", metavar="NAME", nargs="*", help="the containers (default: all that run)")
    add("-a", "--all", action="store_true", help=argparse.SUPPRESS)
    add("--no-stream", action="store_true", help=argparse.SUPPRESS)  # podman's; it never streams
    add("-i", "--interval", type=_seconds, default=_INTERVAL, metavar="SECONDS",
        help="how long to measure (default: %(default)g)")  # fmt: skip
    add("-n", "--noheading", action="store_true", help="leave out the heading")
    add("--json", action="store_true", help="print JSON; sizes are in bytes")


def _seconds(text: str) -> float:
    value = float(text)
    if not 0.01 <= value <= 3600:
        raise ValueError
    return value


def run(arguments: argparse.Namespace, options: GlobalOptions) -> ExitCode:
    """Measure, and print one line for each container."""
    with open_host(options) as host:
        if not host.manager.online:
            raise UsageError("nothing runs in the system of --root")
        names = [ContainerName.parse(name) for name in arguments.names] or _running(host)
        found = usage(names, host, arguments.interval) if names else ()
    if arguments.json:
        Output(json=True).emit([_as_json(one) for one in found])
    else:
        print_table(
            [Column(title=title) for title in _TITLES],
            [_row(one) for one in found],
            heading=not arguments.noheading,
            truncate=False,
        )
    return ExitCode.DONE


def _running(host: Host) -> list[ContainerName]:
    return [one.installed.name for one in list_containers(host) if one.running]


def _as_json(one: Usage) -> dict[str, object]:
    return {
        "name": str(one.name),
        "cpu_percent": round(one.cpu, 2),
        "memory": one.memory,
        "memory_limit": one.limit,
        "pids": one.processes,
        "read": one.read,
        "written": one.written,
    }


def _row(one: Usage) -> Sequence[str]:
    limit = "-" if one.limit is None else _size(one.limit)
    sizes = (_size(one.memory), limit)
    return (
        str(one.name), f"{one.cpu:.2f}", *sizes,
        str(one.processes), _size(one.read), _size(one.written),
    )  # fmt: skip


def _size(count: float) -> str:
    for unit in _UNITS[:-1]:
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} {_UNITS[-1]}"
