# SPDX-License-Identifier: LGPL-2.1-or-later
"""The command line of `atomic images tag`."""

import argparse

from atomic_sys.cli.arguments import add_lock_timeout, add_storage, check_storage
from atomic_sys.cli.opening import open_host
from atomic_sys.cli.options import GlobalOptions
from atomic_sys.errors import ExitCode
from atomic_sys.verbs.image_details import tag


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add = parser.add_argument
    add("image", metavar="IMAGE", help="name, or the beginning of an id")
    add("target", metavar="TARGET", help="the further name")
    add_storage(parser)
    add_lock_timeout(parser)


def run(arguments: argparse.Namespace, options: GlobalOptions) -> ExitCode:
    """Add the name; another image that had it loses it."""
    check_storage(arguments)
    with open_host(options, lock_timeout=arguments.lock_timeout) as host:
        tag(arguments.image, arguments.target, host)
    return ExitCode.DONE
