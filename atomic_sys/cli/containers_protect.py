# SPDX-License-Identifier: LGPL-2.1-or-later
"""The command line of `atomic containers protect`."""

import argparse

from atomic_sys.cli.arguments import add_lock_timeout
from atomic_sys.cli.opening import open_host
from atomic_sys.cli.options import GlobalOptions
from atomic_sys.cli.output import Output
from atomic_sys.errors import ExitCode
from atomic_sys.verbs.protect import protect_all


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    add_lock_timeout(parser)


def run(arguments: argparse.Namespace, options: GlobalOptions) -> ExitCode:
    """Say of each deployment whether it is protected now."""
    output = Output(json=arguments.json)
    with open_host(options, lock_timeout=arguments.lock_timeout) as host:
        found = list(protect_all(host))
    if output.json:
        output.emit([{"deployment": one.deployment, "reason": one.reason} for one in found])
        return ExitCode.DONE
    for one in found:
        said = "protected" if one.reason is None else f"not protected: {one.reason}"
        output.say(f"{one.deployment}: {said}")
    return ExitCode.DONE
