# SPDX-License-Identifier: LGPL-2.1-or-later
"""The command line of `atomic images save`."""

import argparse
import sys

from atomic_sys.cli.arguments import add_lock_timeout, add_storage, check_storage
from atomic_sys.cli.opening import open_host
from atomic_sys.cli.options import GlobalOptions
from atomic_sys.errors import ExitCode, UsageError
from atomic_sys.verbs.archives import Format, save


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add = parser.add_argument
    add("images", metavar="IMAGE", nargs="+", help="name, or the beginning of an id")
    add("-o", "--output", metavar="FILE", help="write there instead of to standard output")
    add(
        "--format",
        choices=[form.value for form in Format],
        default=Format.DOCKER.value,
        help="the kind of archive (default: %(default)s)",
    )
    add("-q", "--quiet", action="store_true", help=argparse.SUPPRESS)  # podman's; we are quiet
    add("-m", "--multi-image-archive", action="store_true", help=argparse.SUPPRESS)  # podman's
    add_storage(parser)
    add_lock_timeout(parser)


def run(arguments: argparse.Namespace, options: GlobalOptions) -> ExitCode:
    """Write the archive. Raises UsageError rather than write it to a terminal."""
    check_storage(arguments)
    if arguments.output is None and sys.stdout.isatty():
        raise UsageError("refusing to save to a terminal", hint="use -o FILE, or redirect")
    output = sys.stdout.buffer if arguments.output is None else arguments.output
    with open_host(options, lock_timeout=arguments.lock_timeout) as host:
        save(arguments.images, Format(arguments.format), output, host)
    return ExitCode.DONE
