# SPDX-License-Identifier: LGPL-2.1-or-later
"""The command line of `atomic fsck`."""

import argparse

from atomic_sys.cli.arguments import add_lock_timeout, add_source_credentials
from atomic_sys.cli.checking import answer, counting
from atomic_sys.cli.opening import open_host
from atomic_sys.cli.options import GlobalOptions
from atomic_sys.cli.output import Output
from atomic_sys.cli.progress import reporting
from atomic_sys.errors import ExitCode
from atomic_sys.verbs.fsck_deployments import check_everything


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add = parser.add_argument
    add("--repair", action="store_true", help="fetch again what is damaged or missing")
    add("--json", action="store_true", help="print the result as JSON")
    add_source_credentials(parser)
    add_lock_timeout(parser)
    parser.epilog = "exit status: 0 all is well, 5 something is wrong"


def run(arguments: argparse.Namespace, options: GlobalOptions) -> ExitCode:
    """Check, and say what is wrong."""
    output = Output(json=arguments.json)
    with (
        open_host(
            options,
            lock_timeout=arguments.lock_timeout,
            source_credentials=arguments.src_creds,
        ) as host,
        reporting(output) as report,
        counting() as advance,
    ):
        check = check_everything(host, report, advance, repair=arguments.repair)
    return answer(check, output)
