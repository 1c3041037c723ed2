# SPDX-License-Identifier: LGPL-2.1-or-later
"""The command line of `atomic containers list`."""

import argparse
import time

from atomic_sys import log
from atomic_sys.cli.arguments import add_list_options, check_filter_keys, parse_pairs
from atomic_sys.cli.opening import open_host
from atomic_sys.cli.options import GlobalOptions
from atomic_sys.cli.output import Column, Output, print_table
from atomic_sys.errors import ExitCode
from atomic_sys.verbs.containers import FILTERS, Container, list_containers, matches

_COLUMNS = (
    Column(title="CONTAINER ID", width=12),
    Column(title="IMAGE", width=20),
    Column(title="NAME", width=10),
    Column(title="COMMAND", width=10),
    Column(title="CREATED", width=16),
    Column(title="STATE", width=10),
    Column(title="BACKEND", width=10),
    Column(title="RUNTIME", width=10),
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add_list_options(parser)


def run(arguments: argparse.Namespace, options: GlobalOptions) -> ExitCode:
    """Print the list: running containers, or all of them."""
    filters = parse_pairs(arguments.filters, "filter")
    check_filter_keys(filters, FILTERS)
    with open_host(options) as host:
        chosen = [
            container
            for container in list_containers(host)
            if (arguments.all or container.running)
            and matches(container, _when(container), filters)
        ]
        for container in chosen:
            if container.installed.problem is not None:
                log.warn(f"{container.installed.name}: {container.installed.problem}")
        if arguments.json and not arguments.quiet:
            units = [container.installed.name.unit for container in chosen]
            found = host.unit_file_states(units) if units else {}
            rows = [
                as_json(one, enabled=found.get(unit) == "enabled")
                for one, unit in zip(chosen, units, strict=True)
            ]
            Output(json=True).emit(rows)
            return ExitCode.DONE
    if arguments.quiet:
        for container in chosen:
            print(container.installed.name)
        return ExitCode.DONE
    cells = [_row(container) for container in chosen]
    print_table(_COLUMNS, cells, heading=not arguments.noheading, truncate=not arguments.no_trunc)
    return ExitCode.DONE


def _when(container: Container) -> str:
    record = container.installed.record
    if record is None:
        return ""
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(record.created))


def _row(container: Container) -> tuple[str, ...]:
    name = container.installed.name.value
    return (
        name,
        container.image,
        name,
        container.command,
        _when(container),
        container.state,
        "ostree",
        container.runtime,
    )


def as_json(container: Container, *, enabled: bool) -> dict[str, object]:
    """The predecessor's keys, and ours."""
    found, record = container.installed, container.installed.record
    name = found.name.value
    return {
        "id": name,
        "image_id": "" if record is None else record.revision,
        "image_name": container.image,
        "name": name,
        "command": container.command,
        "created": _when(container),
        "state": container.state,
        "backend": "ostree",
        "runtime": container.runtime,
        "vulnerable": False,
        "running": container.running,
        "digest": "" if record is None else f"sha256:{record.revision}",
        "signers": [] if record is None else list(record.signers),
        "unit": found.name.unit,
        "deployment": found.deployment,
        "remote": None if record is None else record.remote,
        "enabled": enabled,
        "held": container.held,
        "preinstalled": found.preinstalled,
        "problem": found.problem,
    }
