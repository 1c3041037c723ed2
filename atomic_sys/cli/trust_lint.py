# SPDX-License-Identifier: LGPL-2.1-or-later
"""The command line of `atomic trust lint`."""

import argparse

from atomic_sys.cli.opening import open_host
from atomic_sys.cli.options import GlobalOptions
from atomic_sys.cli.output import Output
from atomic_sys.errors import ExitCode
from atomic_sys.verbs.trust_lint import lint_policy


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("file", nargs="?", metavar="FILE", help="instead of the policy in use")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.epilog = "exit status: 0 nothing, or only warnings; 1 errors"


def run(arguments: argparse.Namespace, options: GlobalOptions) -> ExitCode:
    """Print what is wrong with the policy."""
    with open_host(options) as host:
        found = lint_policy(arguments.file, host)
    output = Output(json=arguments.json)
    if output.json:
        output.emit([finding.as_json() for finding in found.findings])
    else:
        for finding in found.findings:
            output.say(str(finding))
    return ExitCode.FAILED if found.has_errors else ExitCode.DONE
