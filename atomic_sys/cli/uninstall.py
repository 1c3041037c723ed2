# SPDX-License-Identifier: LGPL-2.1-or-later
"""The command line of `atomic uninstall`."""

import argparse

from atomic_sys.cli.arguments import add_lock_timeout, add_storage, check_storage
from atomic_sys.cli.opening import open_host
from atomic_sys.cli.options import GlobalOptions
from atomic_sys.cli.output import Output
from atomic_sys.cli.plan_output import print_plan
from atomic_sys.cli.progress import PlainReport
from atomic_sys.cli.purging import add_removal_options, agree_to_purge
from atomic_sys.errors import ExitCode, UsageError
from atomic_sys.verbs.running import container_to_remove
from atomic_sys.verbs.uninstall import Uninstall, find_all, uninstall


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add = parser.add_argument
    add("name", metavar="NAME", help="the container, or the image of exactly one")
    add_removal_options(parser)
    add(
        "--dry-run",
        "--display",
        action="store_true",
        help="only show the steps, and change nothing",
    )
    add("-n", "--name", dest="other_name", help=argparse.SUPPRESS)  # of the docker backend
    add_storage(parser)
    add_lock_timeout(parser)


def run(arguments: argparse.Namespace, options: GlobalOptions) -> ExitCode:
    """Remove it."""
    check_storage(arguments)
    if arguments.other_name is not None:
        raise UsageError(
            f"System containers do not support --name. Please use atomic uninstall {arguments.name}"
        )
    with open_host(options, lock_timeout=arguments.lock_timeout) as host:
        name = container_to_remove(arguments.name, host)
        purged: frozenset[str] = frozenset()
        if arguments.purge:
            found = find_all([name.value], host)
            assume_yes = options.assume_yes or arguments.dry_run
            purged = agree_to_purge(found, host, assume_yes=assume_yes)
        request = Uninstall(purged=purged, force=arguments.force, dry_run=arguments.dry_run)
        plan = uninstall(name, request, host, PlainReport(Output()))
    if arguments.dry_run:
        print_plan(plan)
    return ExitCode.DONE
