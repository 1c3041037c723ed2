# SPDX-License-Identifier: LGPL-2.1-or-later
"""The command line of `atomic list-tags`."""

import argparse

from atomic_sys.cli.opening import open_host
from atomic_sys.cli.options import GlobalOptions
from atomic_sys.cli.output import Output
from atomic_sys.errors import ExitCode
from atomic_sys.verbs.inspect import list_tags


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("repository", metavar="REPOSITORY", help="[docker://]NAME, without a tag")


def run(arguments: argparse.Namespace, options: GlobalOptions) -> ExitCode:
    """Print the tags as JSON."""
    with open_host(options) as host:
        Output(json=True).emit(list_tags(arguments.repository, host))
    return ExitCode.DONE
