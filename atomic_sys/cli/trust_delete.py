# SPDX-License-Identifier: LGPL-2.1-or-later
"""The command line of `atomic trust delete`."""

import argparse

from atomic_sys.cli.arguments import add_lock_timeout
from atomic_sys.cli.opening import open_host
from atomic_sys.cli.options import GlobalOptions
from atomic_sys.errors import ExitCode
from atomic_sys.verbs.trust_edit import TRANSPORTS, delete


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add = parser.add_argument
    add("scope", metavar="REGISTRY[/REPOSITORY]", help="the scope to remove")
    add("--sigstoretype", default="web", choices=[*TRANSPORTS, *TRANSPORTS.values()],
        help="where the images are: web (a registry), local (dir:) or atomic")  # fmt: skip
    add("--save-sigstore", action="store_true", help="keep the address of its signatures")
    add_lock_timeout(parser)


def run(arguments: argparse.Namespace, options: GlobalOptions) -> ExitCode:
    """Remove it."""
    kind = arguments.sigstoretype
    transport = TRANSPORTS.get(kind, kind)
    with open_host(options, lock_timeout=arguments.lock_timeout) as host:
        delete(transport, arguments.scope, host, keep_lookaside=arguments.save_sigstore)
    return ExitCode.DONE
