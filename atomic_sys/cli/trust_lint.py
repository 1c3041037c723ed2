# SPDX-License-Identifier: LGPL-2.1-or-later
"""The command line of `atomic trust lint`."""

import argparse

from atomic_sys.cli.opening import open_host
from atomic_sys.cli.options import GlobalOptions
from atomic_sys.cli.output import Output
from atomic_sys.errors import ExitCode, printable
from atomic_sys.trust.lint import Severity
from atomic_sys.verbs.trust_show import lint_policy


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add = parser.add_argument
    add("file", metavar="FILE", nargs="?", help="this policy instead of the one in force")
    add("--json", action="store_true", help="print JSON")
    parser.epilog = "exit status: 0 no errors (but maybe warnings), 1 errors"


def run(arguments: argparse.Namespace, options: GlobalOptions) -> ExitCode:
    """Print a line for everything that is to be said about the policy."""
    if arguments.file is not None:
        options = options._replace(policy=arguments.file)
    with open_host(options) as host:
        found = lint_policy(host)
        path = host.policy.path
    if arguments.json:
        Output(json=True).emit([
            {"severity": c.severity.value, "place": c.place, "text": c.text} for c in found
        ])
    else:
        for complaint in found:
            line = f"{path}: {complaint.place}: {complaint.severity.value}: {complaint.text}"
            print(printable(line))
    errors = any(complaint.severity is Severity.ERROR for complaint in found)
    return ExitCode.FAILED if errors else ExitCode.DONE
