# SPDX-License-Identifier: LGPL-2.1-or-later
"""The command line of `atomic images update`."""

import argparse
from collections.abc import Iterable

from atomic_sys import log
from atomic_sys.cli.arguments import (
    add_lock_timeout,
    add_source_credentials,
    add_storage,
    check_storage,
)
from atomic_sys.cli.opening import open_host
from atomic_sys.cli.options import GlobalOptions
from atomic_sys.cli.output import Column, Output, print_table
from atomic_sys.cli.progress import reporting
from atomic_sys.errors import ExitCode, NotFound, UsageError
from atomic_sys.verbs.images_update import ImageUpdate, UpdateStatus, update_all, update_images

_COLUMNS = (
    Column(title="IMAGE"),
    Column(title="BEFORE", width=12),
    Column(title="AFTER", width=12),
    Column(title="STATUS"),
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add = parser.add_argument
    add("images", metavar="IMAGE", nargs="*", help="names or ids; a prefix of an id will do")
    add("-a", "--all", action="store_true", help="all images")
    add("-f", "--force", action="store_true", help=argparse.SUPPRESS)  # of the docker backend
    add_storage(parser)
    add_source_credentials(parser)
    add("--json", action="store_true", help="print the result as JSON")
    add_lock_timeout(parser)


def run(arguments: argparse.Namespace, options: GlobalOptions) -> ExitCode:
    """Update, and say what became of each."""
    check_storage(arguments)
    if bool(arguments.images) == arguments.all:
        raise UsageError("You must select --all or provide a list of images to update.")
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
            done = _told(update_all(host, report), output)
        else:
            try:
                done = _told(update_images(arguments.images, host, report), output)
            except NotFound as error:
                output.say(str(error))  # clients look for "Unable to find" on stdout
                raise
    if output.json:
        output.emit([_as_json(update) for update in done])
    elif arguments.all and done:
        output.say("SUMMARY")
        print_table(_COLUMNS, [_row(update) for update in done], heading=True, truncate=True)
    failed = any(update.status is UpdateStatus.FAILED for update in done)
    return ExitCode.FAILED if failed else ExitCode.DONE


def _told(updates: Iterable[ImageUpdate], output: Output) -> list[ImageUpdate]:
    """All of them, each told as soon as it is done."""
    done = []
    for update in updates:
        done.append(update)
        if update.problem is not None:
            log.warn(f"{update.name}: {update.problem}")
        elif update.status is UpdateStatus.CURRENT:
            output.say(f"Image is up to date: {update.name}")
    return done


def _row(update: ImageUpdate) -> tuple[str, ...]:
    return str(update.name), update.before.hex, update.after.hex, update.status.value


def _as_json(update: ImageUpdate) -> dict[str, object]:
    return {
        "image": str(update.name),
        "before": str(update.before),
        "after": str(update.after),
        "status": update.status.value,
        "error": update.problem,
    }
