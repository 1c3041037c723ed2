# SPDX-License-Identifier: LGPL-2.1-or-later
"""The command line of `atomic trust reset`."""

import argparse

from atomic_sys import log
from atomic_sys.cli.arguments import add_assume_yes, add_lock_timeout
from atomic_sys.cli.opening import open_host
from atomic_sys.cli.options import GlobalOptions
from atomic_sys.cli.output import agree
from atomic_sys.errors import ExitCode
from atomic_sys.verbs.trust_edit import reset


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add_assume_yes(parser)
    add_lock_timeout(parser)


def run(arguments: argparse.Namespace, options: GlobalOptions) -> ExitCode:
    """Ask, and begin anew with a policy that rejects everything."""
    question = (
        "Are you sure you want to destroy trust policy for this system?",
        "This cannot be undone!",
    )
    yes = arguments.assumeyes or options.assume_yes
    agree(question, assume_yes=yes, unattended=False)
    with open_host(options, lock_timeout=arguments.lock_timeout) as host:
        for path in reset(host):
            log.note(f"reset: {path}")
    return ExitCode.DONE
