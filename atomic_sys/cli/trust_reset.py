# SPDX-License-Identifier: LGPL-2.1-or-later
"""The command line of `atomic trust reset`."""

import argparse

from atomic_sys.cli.arguments import add_lock_timeout
from atomic_sys.cli.opening import open_host
from atomic_sys.cli.options import GlobalOptions
from atomic_sys.cli.trust_add import ask
from atomic_sys.errors import ExitCode, UsageError
from atomic_sys.verbs.trust_edit import reset

_WARNING = (
    "Are you sure you want to destroy trust policy for this system?",
    "This cannot be undone! Files of registries.d other than default.yaml go too.",
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add_lock_timeout(parser)


def run(arguments: argparse.Namespace, options: GlobalOptions) -> ExitCode:
    """Ask, and begin anew with a policy that trusts nobody."""
    if not ask("Reset?", _WARNING, options):
        raise UsageError("User aborted the reset")
    with open_host(options, lock_timeout=arguments.lock_timeout) as host:
        reset(host)
    return ExitCode.DONE
