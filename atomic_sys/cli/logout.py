# SPDX-License-Identifier: LGPL-2.1-or-later
"""The command line of `atomic logout`."""

import argparse

from atomic_sys.cli.arguments import add_authfile, add_lock_timeout
from atomic_sys.cli.opening import open_host
from atomic_sys.cli.options import GlobalOptions
from atomic_sys.cli.output import Output
from atomic_sys.errors import ExitCode, UsageError
from atomic_sys.verbs.login import logout, registry_key


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add = parser.add_argument
    add("registry", metavar="REGISTRY", nargs="?", help="HOST[:PORT][/REPOSITORY]")
    add("-a", "--all", action="store_true", help="of every registry")
    add_authfile(parser)
    add_lock_timeout(parser)


def run(arguments: argparse.Namespace, options: GlobalOptions) -> ExitCode:
    """Log out."""
    if arguments.all == bool(arguments.registry):
        raise UsageError("either a registry or --all is needed")
    key = None if arguments.all else registry_key(arguments.registry)
    options = options._replace(authfile=arguments.authfile or options.authfile)
    with open_host(options, lock_timeout=arguments.lock_timeout) as host:
        logout(key, host)
    Output().say(f"Removed login credentials for {key or 'all registries'}")
    return ExitCode.DONE
