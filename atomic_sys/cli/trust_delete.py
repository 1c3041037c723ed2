# SPDX-License-Identifier: LGPL-2.1-or-later
"""The command line of `atomic trust delete`."""

import argparse

from atomic_sys import log
from atomic_sys.cli.arguments import add_lock_timeout, add_transport
from atomic_sys.cli.opening import open_host
from atomic_sys.cli.options import GlobalOptions
from atomic_sys.errors import ExitCode
from atomic_sys.verbs.trust_edit import delete, transport_named


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add = parser.add_argument
    add("scope", metavar="SCOPE", help="REGISTRY[/REPOSITORY], or the path of a local image")
    add("--save-sigstore", action="store_true", help="leave registries.d as it is")
    add_transport(parser)
    add_lock_timeout(parser)


def run(arguments: argparse.Namespace, options: GlobalOptions) -> ExitCode:
    """Delete the scope from the policy."""
    transport = transport_named(arguments.transport)
    with open_host(options, lock_timeout=arguments.lock_timeout) as host:
        keep = arguments.save_sigstore
        for path in delete(transport, arguments.scope, host, keep_lookaside=keep):
            log.note(f"written: {path}")
    return ExitCode.DONE
