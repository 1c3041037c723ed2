# SPDX-License-Identifier: LGPL-2.1-or-later
"""The command line of `atomic mount`."""

import argparse
import os

from atomic_sys.cli.arguments import add_lock_timeout, add_storage, check_storage
from atomic_sys.cli.opening import open_host
from atomic_sys.cli.options import GlobalOptions
from atomic_sys.errors import ExitCode, UsageError
from atomic_sys.verbs.mount import mount, parse_options


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add = parser.add_argument
    add("what", metavar="IMAGE|NAME", help="an image of the store, or a container")
    add("directory", metavar="DIR", help="an empty directory")
    add(
        "-o", "--options", action="append", default=[], metavar="OPTIONS",
        help="ro, rw, [no]suid, [no]dev, [no]exec (default: ro,nosuid,nodev,exec)",
    )  # fmt: skip
    add("--live", action="store_true", help=argparse.SUPPRESS)  # of the docker backend
    add("--shared", action="store_true", help=argparse.SUPPRESS)  # nothing here has a private label
    add_storage(parser)
    add_lock_timeout(parser)


def run(arguments: argparse.Namespace, options: GlobalOptions) -> ExitCode:
    """Mount, and say nothing, as mount(8) does."""
    check_storage(arguments)
    if arguments.live:
        raise UsageError("Containers and images managed through OSTree do not support --live.")
    chosen = parse_options(arguments.options)
    if os.geteuid() != 0:
        raise UsageError("Need to be root to mount a container or an image.")
    with open_host(options, lock_timeout=arguments.lock_timeout) as host:
        mount(arguments.what, arguments.directory, chosen, host)
    return ExitCode.DONE
