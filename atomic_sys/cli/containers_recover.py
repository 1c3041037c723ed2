# SPDX-License-Identifier: LGPL-2.1-or-later
"""The command line of `atomic containers recover`."""

import argparse

from atomic_sys.cli.arguments import add_lock_timeout
from atomic_sys.cli.opening import open_host
from atomic_sys.cli.options import GlobalOptions
from atomic_sys.cli.output import Output
from atomic_sys.cli.progress import PlainReport
from atomic_sys.errors import ExitCode
from atomic_sys.verbs.recover import recover_all


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add_lock_timeout(parser)


def run(arguments: argparse.Namespace, options: GlobalOptions) -> ExitCode:
    """Recover all; what is wrong has been said."""
    with open_host(options, lock_timeout=arguments.lock_timeout) as host:
        complete = recover_all(host, PlainReport(Output()))
    return ExitCode.DONE if complete else ExitCode.FAILED
