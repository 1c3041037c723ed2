# SPDX-License-Identifier: LGPL-2.1-or-later
"""The command line of `atomic containers logs`."""

import argparse
import sys

from atomic_sys.cli.opening import open_host
from atomic_sys.cli.options import GlobalOptions
from atomic_sys.model.names import ContainerName
from atomic_sys.verbs.services import show_logs


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments; their values are those of journalctl(1)."""
    add = parser.add_argument
    add("name", metavar="NAME", help="the container")
    add("-f", "--follow", action="store_true", help="go on with what comes")
    add("-n", "--lines", "--tail", metavar="N", help="the last N lines; or 'all'")
    add("-b", "--boot", action="store_true", help="only since the last boot")
    add("-r", "--reverse", action="store_true", help="the newest first")
    add("--since", metavar="TIME", help="from this time on, as in journalctl(1)")
    add("--until", metavar="TIME", help="up to this time")
    add("-o", "--output", metavar="FORMAT", help="short, cat, json, ..., as in journalctl(1)")


def run(arguments: argparse.Namespace, options: GlobalOptions) -> int:
    """Let journalctl show them."""
    given = [f"--{key}" for key in ("follow", "boot", "reverse") if getattr(arguments, key)]
    given += [
        f"--{key}={value}"
        for key in ("lines", "since", "until", "output")
        if (value := getattr(arguments, key)) is not None
    ]
    if not sys.stdout.isatty():
        given.append("--no-pager")
    with open_host(options) as host:
        return show_logs(ContainerName.parse(arguments.name), given, host)
