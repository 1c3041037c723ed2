# SPDX-License-Identifier: LGPL-2.1-or-later
"""The command line of `atomic trust default`."""

import argparse

from atomic_sys import log
from atomic_sys.cli.arguments import add_lock_timeout
from atomic_sys.cli.opening import open_host
from atomic_sys.cli.options import GlobalOptions
from atomic_sys.errors import ExitCode
from atomic_sys.trust.new_requirements import Kind
from atomic_sys.verbs.trust_edit import set_policy_default

_KINDS = {"accept": Kind.ACCEPT, "reject": Kind.REJECT}


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("default", choices=sorted(_KINDS), help="what no scope names")
    add_lock_timeout(parser)


def run(arguments: argparse.Namespace, options: GlobalOptions) -> ExitCode:
    """Set the default of the policy."""
    kind = _KINDS[arguments.default]
    with open_host(options, lock_timeout=arguments.lock_timeout) as host:
        log.note(f"written: {set_policy_default(kind, host)}")
    if kind is Kind.ACCEPT:
        log.warn("every image that no scope names is accepted now, from anywhere")
    return ExitCode.DONE
