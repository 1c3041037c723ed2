# SPDX-License-Identifier: LGPL-2.1-or-later
"""The command line of `atomic images load`."""

import argparse
import sys

from atomic_sys.cli.arguments import add_lock_timeout, add_storage, check_storage
from atomic_sys.cli.opening import open_host
from atomic_sys.cli.options import GlobalOptions
from atomic_sys.cli.output import Output
from atomic_sys.cli.progress import reporting
from atomic_sys.errors import ExitCode, UsageError
from atomic_sys.verbs.archives import load


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add = parser.add_argument
    add("-i", "--input", metavar="FILE", help="read there instead of from standard input")
    add("--json", action="store_true", help="print the result as JSON")
    add_storage(parser)
    add_lock_timeout(parser)


def run(arguments: argparse.Namespace, options: GlobalOptions) -> ExitCode:
    """Load the images and name each. Raises UsageError rather than read from a terminal."""
    check_storage(arguments)
    if arguments.input is None and sys.stdin.isatty():
        raise UsageError("cannot read from a terminal", hint="use -i FILE, or redirect")
    output = Output(json=arguments.json)
    loaded = []
    with (
        open_host(options, lock_timeout=arguments.lock_timeout) as host,
        reporting(output) as report,
    ):
        for pulled in load(arguments.input, sys.stdin.buffer, host, report):
            loaded.append({"image": str(pulled.image.name), "digest": str(pulled.image.digest)})
            if not output.json:
                report.say(f"Loaded image: {pulled.image.name}")
    if output.json:
        output.emit(loaded)
    return ExitCode.DONE
