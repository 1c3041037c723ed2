# SPDX-License-Identifier: LGPL-2.1-or-later
"""The command line of `atomic trust audit`."""

import argparse

from atomic_sys.cli.opening import open_host
from atomic_sys.cli.options import GlobalOptions
from atomic_sys.cli.output import Column, Output, print_table
from atomic_sys.errors import ExitCode
from atomic_sys.verbs.trust_check import Audited, audit

_COLUMNS = (
    Column(title="CONTAINER"),
    Column(title="IMAGE"),
    Column(title="TODAY"),
    Column(title="WHY"),
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add = parser.add_argument
    add("-n", "--noheading", action="store_true", help="leave out the heading")
    add("--json", action="store_true", help="print JSON")
    parser.epilog = "exit status: 0 all would be accepted, 6 some would not"


def run(arguments: argparse.Namespace, options: GlobalOptions) -> ExitCode:
    """Print what today's policy says of each container's image."""
    with open_host(options) as host:
        found = audit(host)
    if arguments.json:
        Output(json=True).emit([_as_json(one) for one in found])
    else:
        rows = [_row(one) for one in found]
        print_table(_COLUMNS, rows, heading=not arguments.noheading, truncate=False)
    return ExitCode.DONE if all(one.accepted for one in found) else ExitCode.REJECTED


def _image(one: Audited) -> str:
    return "" if one.container.record is None else one.container.record.image


def _as_json(one: Audited) -> dict[str, object]:
    return {
        "container": str(one.container.name),
        "image": _image(one),
        "accepted": one.accepted,
        "problem": one.problem,
        "verdict": None if one.verdict is None else one.verdict.as_json(_image(one)),
    }


def _row(one: Audited) -> tuple[str, str, str, str]:
    if one.verdict is None:
        return str(one.container.name), _image(one), "unknown", one.problem
    denied = [str(requirement.reason) for requirement in one.verdict.requirements
              if not requirement.accepted]  # fmt: skip
    word = "accepted" if one.accepted else "rejected"
    return str(one.container.name), _image(one), word, "; ".join(denied)
