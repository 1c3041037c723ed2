# SPDX-License-Identifier: LGPL-2.1-or-later
"""The command line of `atomic images prune`."""

import argparse

from atomic_sys.cli.arguments import add_lock_timeout
from atomic_sys.cli.opening import open_host
from atomic_sys.cli.options import GlobalOptions
from atomic_sys.cli.output import Output
from atomic_sys.cli.progress import PlainReport
from atomic_sys.errors import ExitCode
from atomic_sys.verbs.images_prune import prune_images


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add = parser.add_argument
    # podman's, for what is done here in any case: nothing is asked, and nothing unused is kept
    add("-a", "--all", action="store_true", help=argparse.SUPPRESS)
    add("-f", "--force", action="store_true", help=argparse.SUPPRESS)
    add("--json", action="store_true", help="print the result as JSON")
    add_lock_timeout(parser)


def run(arguments: argparse.Namespace, options: GlobalOptions) -> ExitCode:
    """Free the space, and say how much."""
    output = Output(json=arguments.json)
    with open_host(options, lock_timeout=arguments.lock_timeout) as host:
        pruned = prune_images(host, PlainReport(output))
    report = pruned.store
    if output.json:
        output.emit({
            "refs": report.refs,
            "objects": report.objects,
            "freed": report.freed,
            "deployments": list(pruned.deployments),
            "leftovers": list(pruned.leftovers),
        })
    else:
        for deployment in pruned.deployments:
            output.say(f"Removed the deployment {deployment}")
        for path in pruned.leftovers:
            output.say(f"Removed {path}, which a command that died has left")
        output.say(f"Removed {report.objects} objects, {report.freed / 1e6:.1f} MB")
    return ExitCode.DONE
