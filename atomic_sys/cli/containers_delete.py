# SPDX-License-Identifier: LGPL-2.1-or-later
"""The command line of `atomic containers delete`."""

import argparse
import sys

from atomic_sys.cli.arguments import add_lock_timeout, add_storage, check_storage
from atomic_sys.cli.opening import open_host
from atomic_sys.cli.options import GlobalOptions
from atomic_sys.cli.output import Output, confirm
from atomic_sys.cli.progress import PlainReport
from atomic_sys.cli.purging import add_removal_options, agree_to_purge
from atomic_sys.errors import ExitCode, UsageError
from atomic_sys.verbs.uninstall import Uninstall, every_container, find_all, uninstall


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add = parser.add_argument
    add("names", metavar="NAME", nargs="*", help="the containers")
    add("-a", "--all", action="store_true", help="all containers (without a terminal: with -y)")
    add_removal_options(parser)
    add_storage(parser)
    add_lock_timeout(parser)


def run(arguments: argparse.Namespace, options: GlobalOptions) -> ExitCode:
    """Ask, and remove them."""
    check_storage(arguments)
    if bool(arguments.names) == arguments.all:
        raise UsageError("You must select --all or provide a list of containers to delete.")
    if arguments.all and not options.assume_yes and not sys.stdin.isatty():
        raise UsageError("--all needs a confirmation", hint="atomic -y containers delete --all")
    report = PlainReport(Output())
    with open_host(options, lock_timeout=arguments.lock_timeout) as host:
        found = every_container(host) if arguments.all else find_all(arguments.names, host)
        if not found:
            report.say("No containers to delete")
            return ExitCode.DONE
        confirm(
            "Do you wish to delete the following containers?",
            [container.name.value for container in found],
            assume_yes=options.assume_yes,
        )
        purged: frozenset[str] = frozenset()
        if arguments.purge:
            purged = agree_to_purge(found, host, assume_yes=options.assume_yes)
        request = Uninstall(purged=purged, force=arguments.force)
        for container in found:
            uninstall(container.name, request, host, report)
    return ExitCode.DONE
