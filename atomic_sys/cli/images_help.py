# SPDX-License-Identifier: LGPL-2.1-or-later
"""The command line of `atomic images help`."""

import argparse

from atomic_sys.cli.arguments import add_storage, check_storage
from atomic_sys.cli.opening import open_host
from atomic_sys.cli.options import GlobalOptions
from atomic_sys.cli.output import Output
from atomic_sys.errors import ExitCode
from atomic_sys.verbs.image_details import help_text


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("image", metavar="IMAGE", help="name, or the beginning of an id")
    add_storage(parser)


def run(arguments: argparse.Namespace, options: GlobalOptions) -> ExitCode:
    """Print the text, control characters escaped: a command in a label is shown, never run."""
    check_storage(arguments)
    with open_host(options) as host:
        text = help_text(arguments.image, host)
    output = Output()
    for line in text.split("\n"):
        output.say(line.removesuffix("\r").expandtabs())
    return ExitCode.DONE
