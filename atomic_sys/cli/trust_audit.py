# SPDX-License-Identifier: LGPL-2.1-or-later
"""The command line of `atomic trust audit`."""

import argparse

from atomic_sys.cli.opening import open_host
from atomic_sys.cli.options import GlobalOptions
from atomic_sys.cli.output import Column, Output, print_table
from atomic_sys.errors import ExitCode
from atomic_sys.verbs.trust_check import Audited, audit

_COLUMNS = (Column(title="CONTAINER"), Column(title="VERDICT"), Column(title="REASON"))
_WORDS = {True: "accepted", False: "rejected", None: "unknown"}


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add = parser.add_argument
    add("-n", "--noheading", action="store_true", help="leave out the heading")
    add("--json", action="store_true", help="print JSON")
    parser.epilog = "exit status: 0 all accepted, 6 some rejected, 1 some could not be judged"


def run(arguments: argparse.Namespace, options: GlobalOptions) -> ExitCode:
    """Judge every container."""
    return run_audit(options, json=arguments.json, heading=not arguments.noheading)


def run_audit(options: GlobalOptions, *, json: bool, heading: bool) -> ExitCode:
    """The same, for `trust check` without an image."""
    with open_host(options) as host:
        found = audit(host)
    if json:
        Output(json=True).emit([one.as_json() for one in found])
    else:
        rows = [(one.container, _WORDS[one.accepted], one.reason) for one in found]
        print_table(_COLUMNS, rows, heading=heading, truncate=False)
    return _code(found)


def _code(found: tuple[Audited, ...]) -> ExitCode:
    verdicts = {one.accepted for one in found}
    if False in verdicts:
        return ExitCode.REJECTED
    return ExitCode.FAILED if None in verdicts else ExitCode.DONE
