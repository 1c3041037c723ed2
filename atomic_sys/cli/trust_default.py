# SPDX-License-Identifier: LGPL-2.1-or-later
"""The command line of `atomic trust default`."""

import argparse

from atomic_sys.cli.arguments import add_lock_timeout
from atomic_sys.cli.opening import open_host
from atomic_sys.cli.options import GlobalOptions
from atomic_sys.errors import ExitCode
from atomic_sys.verbs.trust_edit import RequirementType, set_default

_WORDS = {"accept": RequirementType.ACCEPT, "reject": RequirementType.REJECT}


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("default_policy", metavar="accept|reject", choices=_WORDS)
    add_lock_timeout(parser)


def run(arguments: argparse.Namespace, options: GlobalOptions) -> ExitCode:
    """Set it."""
    with open_host(options, lock_timeout=arguments.lock_timeout) as host:
        set_default(_WORDS[arguments.default_policy], host)
    return ExitCode.DONE
