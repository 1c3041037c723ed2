# SPDX-License-Identifier: LGPL-2.1-or-later
"""The command line of `atomic unmount`."""

import argparse
import os

from atomic_sys.cli.arguments import add_lock_timeout
from atomic_sys.cli.opening import open_host
from atomic_sys.cli.options import GlobalOptions
from atomic_sys.errors import ExitCode, UsageError
from atomic_sys.verbs.mount import unmount


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("directory", metavar="DIR", help="where something was mounted")
    add_lock_timeout(parser)


def run(arguments: argparse.Namespace, options: GlobalOptions) -> ExitCode:
    """Unmount, and remove what was written to it."""
    if os.geteuid() != 0:
        raise UsageError("Need to be root to unmount.")
    with open_host(options, lock_timeout=arguments.lock_timeout) as host:
        unmount(arguments.directory, host)
    return ExitCode.DONE
