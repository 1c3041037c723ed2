# SPDX-License-Identifier: LGPL-2.1-or-later
"""The command line of `atomic containers update`."""

import argparse
from collections.abc import Sequence

from atomic_sys import log
from atomic_sys.cli.arguments import (
    add_lock_timeout,
    add_rootfs,
    add_source_credentials,
    add_storage,
    check_storage,
    rootfs,
)
from atomic_sys.cli.opening import open_host
from atomic_sys.cli.options import GlobalOptions, seconds
from atomic_sys.cli.output import Column, Output, print_table
from atomic_sys.cli.plan_output import print_plan
from atomic_sys.cli.progress import reporting
from atomic_sys.engine.report import Report
from atomic_sys.errors import ExitCode, UsageError
from atomic_sys.host import Host
from atomic_sys.model.names import ContainerName
from atomic_sys.render.values import parse_assignments
from atomic_sys.verbs.switching import DEFAULT_SETTLE
from atomic_sys.verbs.update import Status, Update, UpdateResult
from atomic_sys.verbs.update_all import update_all, update_named

_COLUMNS = (
    Column(title="Container"),
    Column(title="Image ID before update", width=12),
    Column(title="Image ID after update", width=12),
    Column(title="Latest image ID", width=12),
    Column(title="Status"),
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add = parser.add_argument
    add("names", metavar="NAME", nargs="*", help="the containers")
    add("-a", "--all", action="store_true", help="all of them; no container that is held")
    add("--rebase", metavar="IMAGE", help="follow another image from now on")
    add("--set", action="append", default=[], metavar="NAME=VALUE", help="set a value of the image")
    add("--unset", action="append", default=[], metavar="NAME", help="back to the image's default")
    add_rootfs(parser)
    add("--no-pull", action="store_true", help="use the image that is in the store")
    add("--no-rollback", action="store_true", help="keep the new deployment, also when it fails")
    add_settle(parser)
    add("--dry-run", action="store_true", help="pull, then only show the steps and the differences")
    add("--json", action="store_true", help="print the result as JSON")
    add_storage(parser)
    add_source_credentials(parser)
    add_lock_timeout(parser)


def add_settle(parser: argparse.ArgumentParser) -> None:
    """`--settle SECONDS`."""
    parser.add_argument(
        "--settle",
        type=seconds,
        default=DEFAULT_SETTLE,
        metavar="SECONDS",
        help="how long the unit has to stay active (default: %(default)g)",
    )


def run(arguments: argparse.Namespace, options: GlobalOptions) -> ExitCode:
    """Update and say what came of it."""
    _check(arguments)
    request = Update(
        rebase=arguments.rebase,
        values=parse_assignments(arguments.set),
        unset=tuple(arguments.unset),
        rootfs=rootfs(arguments, options),
        pull=not arguments.no_pull,
        roll_back=not arguments.no_rollback,
        settle=arguments.settle,
        dry_run=arguments.dry_run,
    )
    output = Output(json=arguments.json)
    with (
        open_host(
            options,
            lock_timeout=arguments.lock_timeout,
            source_credentials=arguments.src_creds,
        ) as host,
        reporting(output) as report,
    ):
        if arguments.all:
            return _all(request, host, report, output)
        names = [ContainerName.parse(name) for name in dict.fromkeys(arguments.names)]
        return _named(names, request, host, report, output)


def _named(
    names: Sequence[ContainerName], request: Update, host: Host, report: Report, output: Output
) -> ExitCode:
    """One after the other, until one fails: --json has what came of each up to that one."""
    results = []
    try:
        for result in update_named(names, request, host, report):
            results.append(result)
            _say(result, output)
    finally:
        if output.json:
            output.emit([as_json(result) for result in results])
    return ExitCode.DONE


def _check(arguments: argparse.Namespace) -> None:
    check_storage(arguments)
    if not arguments.names and not arguments.all:
        raise UsageError(
            "Too few arguments.  Please specify the container",
            hint="atomic containers update --all updates every one",
        )
    incompatible = "Incompatible options specified.  --all doesn't support"
    if arguments.all and arguments.names:
        raise UsageError(f"{incompatible} a container name")
    if arguments.all and (arguments.set or arguments.unset or arguments.rebase or arguments.rootfs):
        raise UsageError(f"{incompatible} --set, --unset, --rebase or --rootfs")
    if arguments.rebase and len(arguments.names) > 1:
        raise UsageError("--rebase is for one container")


def _say(result: UpdateResult, output: Output) -> None:
    if result.status is Status.UPDATED:
        output.say("Latest version already installed.")
    elif result.plan is not None and not output.json:
        print_plan(result.plan)
    elif result.status is Status.UPDATED_NOW:
        log.note(f"{result.name} is updated to sha256:{result.after}")


def _all(request: Update, host: Host, report: Report, output: Output) -> ExitCode:
    results = []
    for result in update_all(request, host, report):
        results.append(result)
        if result.reason:
            log.warn(f"{result.name}: {result.reason}")
        if result.plan is not None and not output.json:
            print_plan(result.plan)
    if output.json:
        output.emit([as_json(result) for result in results])
    else:
        _print_summary(results)
    states = {result.status for result in results}
    if Status.UNKNOWN in states:
        return ExitCode.FAILED
    return ExitCode.ROLLED_BACK if Status.FAILED in states else ExitCode.DONE


def _print_summary(results: Sequence[UpdateResult]) -> None:
    rows = [
        (result.name.value, result.before, result.after, result.latest, result.status.value)
        for result in results
    ]
    if rows:
        print("SUMMARY")
    print_table(_COLUMNS, rows, heading=True, truncate=True)


def as_json(result: UpdateResult) -> dict[str, object]:
    """A result for programs."""
    return {
        "name": result.name.value,
        "status": result.status.value,
        "changed": result.status is Status.UPDATED_NOW,
        "before": result.before,
        "after": result.after,
        "latest": result.latest,
        "reason": result.reason,
        "plan": None if result.plan is None else [step.describe() for step in result.plan],
    }
