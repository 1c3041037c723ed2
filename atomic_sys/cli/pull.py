# SPDX-License-Identifier: LGPL-2.1-or-later
"""The command line of `atomic pull`."""

import argparse

from atomic_sys.cli.arguments import (
    add_lock_timeout,
    add_source_credentials,
    add_storage,
    check_storage,
)
from atomic_sys.cli.opening import open_host
from atomic_sys.cli.options import GlobalOptions
from atomic_sys.cli.output import Output
from atomic_sys.cli.progress import reporting
from atomic_sys.errors import ExitCode
from atomic_sys.verbs.pull import pull


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add = parser.add_argument
    add("image", metavar="IMAGE", help="NAME[:TAG][@DIGEST], oci:DIR[:TAG], oci-archive:FILE, ...")
    add("-t", "--type", help=argparse.SUPPRESS)
    add_storage(parser)
    add_source_credentials(parser)
    add("--json", action="store_true", help="print the result as JSON")
    add_lock_timeout(parser)


def run(arguments: argparse.Namespace, options: GlobalOptions) -> ExitCode:
    """Pull and say what was done."""
    check_storage(arguments)
    output = Output(json=arguments.json)
    with (
        open_host(
            options,
            lock_timeout=arguments.lock_timeout,
            source_credentials=arguments.src_creds,
        ) as host,
        reporting(output) as report,
    ):
        pulled = pull(arguments.image, host, report)
    if output.json:
        output.emit({
            "image": str(pulled.image.name),
            "digest": str(pulled.image.digest),
            "changed": pulled.changed,
            "verdict": pulled.verdict.as_json(arguments.image),
        })
    elif not pulled.changed:
        output.say(f"Image is up to date: {pulled.image.name}")
    return ExitCode.DONE
