# SPDX-License-Identifier: LGPL-2.1-or-later
"""The command line of `atomic containers deployments`."""

import argparse
import time

from atomic_sys.cli.opening import open_host
from atomic_sys.cli.options import GlobalOptions
from atomic_sys.cli.output import Column, Output, print_table
from atomic_sys.errors import ExitCode
from atomic_sys.model.names import ContainerName
from atomic_sys.verbs.rollback import ListedDeployment, deployments

_COLUMNS = (
    Column(title=""),
    Column(title="NUMBER"),
    Column(title="IMAGE", width=40),
    Column(title="IMAGE ID", width=12),
    Column(title="CREATED"),
    Column(title="SIGNED BY", width=40),
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("name", metavar="NAME", help="the container")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.epilog = "* is the current deployment, - the one that a rollback goes to"


def run(arguments: argparse.Namespace, options: GlobalOptions) -> ExitCode:
    """Print the list."""
    with open_host(options) as host:
        found = deployments(ContainerName.parse(arguments.name), host)
    if arguments.json:
        Output(json=True).emit([_as_json(one) for one in found])
    else:
        print_table(_COLUMNS, [_row(one) for one in found], heading=True, truncate=True)
    return ExitCode.DONE


def _created(one: ListedDeployment) -> str:
    if one.record is None:
        return ""
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(one.record.created))


def _row(one: ListedDeployment) -> tuple[str, ...]:
    record = one.record
    return (
        "*" if one.current else "-" if one.previous else " ",
        str(one.number),
        "?" if record is None else record.image,
        "" if record is None else record.revision,
        _created(one),
        "" if record is None else ", ".join(record.signers),
    )


def _as_json(one: ListedDeployment) -> dict[str, object]:
    record = one.record
    return {
        "number": one.number,
        "digest": "" if record is None else f"sha256:{record.revision}",
        "image": "" if record is None else record.image,
        "created": _created(one),
        "current": one.current,
        "previous": one.previous,
        "signers": [] if record is None else list(record.signers),
        "verdict": None if record is None else record.verdict,
    }
