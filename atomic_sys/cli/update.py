# SPDX-License-Identifier: LGPL-2.1-or-later
"""The command line of `atomic update`: of containers by their exact names, else of images.

`--all` means images, as it did in the predecessor, whose `update` knew nothing else.
"""

import argparse

from atomic_sys.cli import containers_update, images_update
from atomic_sys.cli.opening import open_host
from atomic_sys.cli.options import GlobalOptions
from atomic_sys.errors import NotFound, UsageError
from atomic_sys.verbs.running import installed_name

# What only an update of a container can be told, by the names in the namespace.
_FOR_CONTAINERS = ("rebase", "set", "unset", "rootfs", "no_pull", "no_rollback", "dry_run")


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments: those of both."""
    containers_update.configure(parser)
    parser.add_argument("-f", "--force", action="store_true", help=argparse.SUPPRESS)
    parser.usage = "atomic update [OPTIONS] NAME|IMAGE ..."
    parser.epilog = "A name is that of an installed container, or else of an image of the store."


def run(arguments: argparse.Namespace, options: GlobalOptions) -> int:
    """Update what the names are names of."""
    arguments.images = arguments.names
    for_containers = any(getattr(arguments, name) for name in _FOR_CONTAINERS)
    if arguments.all or not arguments.names:
        if for_containers:
            raise UsageError(
                "--all updates images", hint="atomic containers update --all updates containers"
            )
        return images_update.run(arguments, options)
    with open_host(options) as host:
        others = [name for name in arguments.names if installed_name(name, host) is None]
    if not others:
        return containers_update.run(arguments, options)
    if for_containers:
        raise NotFound(
            f"Unable to find the container {others[0]}",
            hint="atomic containers list --all shows what is installed",
        )
    if len(others) < len(arguments.names):
        raise UsageError(f"{others[0]} is no container, and others are: update them separately")
    return images_update.run(arguments, options)
