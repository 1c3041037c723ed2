# SPDX-License-Identifier: LGPL-2.1-or-later
"""The command line of `atomic containers rollback`."""

import argparse

from atomic_sys.cli.arguments import add_lock_timeout, add_storage, check_storage
from atomic_sys.cli.containers_update import add_settle
from atomic_sys.cli.opening import open_host
from atomic_sys.cli.options import GlobalOptions
from atomic_sys.cli.output import Output
from atomic_sys.cli.plan_output import print_plan
from atomic_sys.cli.progress import PlainReport
from atomic_sys.errors import ExitCode
from atomic_sys.model.names import ContainerName
from atomic_sys.verbs.rollback import Rollback, rollback


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add = parser.add_argument
    add("name", metavar="NAME", help="the container")
    add("--to", type=int, metavar="N", help="to this deployment (default: the one before)")
    add_settle(parser)
    add("--dry-run", action="store_true", help="only show the steps and the differences")
    add_storage(parser)
    add_lock_timeout(parser)


def run(arguments: argparse.Namespace, options: GlobalOptions) -> ExitCode:
    """Roll back."""
    check_storage(arguments)
    request = Rollback(to=arguments.to, settle=arguments.settle, dry_run=arguments.dry_run)
    with open_host(options, lock_timeout=arguments.lock_timeout) as host:
        report = PlainReport(Output())
        plan = rollback(ContainerName.parse(arguments.name), request, host, report)
    if arguments.dry_run:
        print_plan(plan)
    return ExitCode.DONE
