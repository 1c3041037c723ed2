# SPDX-License-Identifier: LGPL-2.1-or-later
"""The command line of `atomic images delete`."""

import argparse
import sys

from atomic_sys.cli.arguments import add_lock_timeout, add_storage, check_storage
from atomic_sys.cli.opening import open_host
from atomic_sys.cli.options import GlobalOptions
from atomic_sys.cli.output import Output, confirm
from atomic_sys.errors import ExitCode, NotFound, UsageError
from atomic_sys.verbs.images import delete_images, every_name, names_to_delete


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add = parser.add_argument
    add("images", metavar="IMAGE", nargs="*", help="names or ids; a prefix of an id will do")
    add("-a", "--all", action="store_true", help="all images (without a terminal: with -y)")
    add("-f", "--force", action="store_true", help="also those that a container uses")
    add_storage(parser)
    add_lock_timeout(parser)


def run(arguments: argparse.Namespace, options: GlobalOptions) -> ExitCode:
    """Ask, and forget them; `images prune` frees the space."""
    check_storage(arguments)
    if bool(arguments.images) == arguments.all:
        raise UsageError("You must select --all or provide a list of images to delete.")
    if arguments.all and not options.assume_yes and not sys.stdin.isatty():
        raise UsageError("--all needs a confirmation", hint="atomic -y images delete --all")
    output = Output()
    with open_host(options, lock_timeout=arguments.lock_timeout) as host:
        try:
            wanted = every_name(host) if arguments.all else arguments.images
            names = names_to_delete(wanted, host, force=arguments.force)
        except NotFound as error:
            output.say(str(error))  # clients look for "Unable to find" on stdout
            raise
        if not names:
            output.say("No images to delete.")
            return ExitCode.DONE
        confirm(
            "Do you wish to delete the following images?",
            [str(name) for name in names],
            assume_yes=options.assume_yes,
        )
        delete_images(names, host)
    return ExitCode.DONE
