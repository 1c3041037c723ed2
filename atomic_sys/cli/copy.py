# SPDX-License-Identifier: LGPL-2.1-or-later
"""The command line of `atomic copy`."""

import argparse

from atomic_sys.cli.arguments import (
    add_authfile,
    add_lock_timeout,
    add_source_credentials,
    add_tls_verify,
)
from atomic_sys.cli.copying import (
    add_destination_options,
    answer,
    telling,
    write_digest,
)
from atomic_sys.cli.opening import open_host
from atomic_sys.cli.options import GlobalOptions
from atomic_sys.cli.output import Output
from atomic_sys.engine.copy import Extent, Signatures
from atomic_sys.errors import ExitCode, UsageError
from atomic_sys.verbs.copy import CopyOptions, copy


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add = parser.add_argument
    add("source", metavar="SOURCE", help="docker://NAME, ostree:NAME, oci:DIR[:TAG], dir:DIR, ...")
    add("destination", metavar="DESTINATION", help="docker://NAME, ostree:NAME, oci:DIR[:TAG], ...")
    add("-a", "--all", action="store_true", help="copy every image of an index, and the index")
    add(
        "--multi-arch",
        choices=[extent.value for extent in Extent],
        metavar="WHAT",
        help="of an index: system (the default), all or index-only",
    )
    add("--preserve-digests", action="store_true", help="which is always so")
    add_source_credentials(parser)
    add_tls_verify(parser, "--src-tls-verify", "the image's registry")
    add_destination_options(parser)
    add_authfile(parser)
    add_lock_timeout(parser)


def run(arguments: argparse.Namespace, options: GlobalOptions) -> ExitCode:
    """Copy, and say what was done."""
    output = Output(json=arguments.json)
    options = options._replace(authfile=arguments.authfile or options.authfile)
    wanted = CopyOptions(
        extent=_extent(arguments),
        signatures=Signatures.REMOVE if arguments.remove_signatures else Signatures.KEEP,
        insecure_source=not arguments.src_tls_verify,
        insecure_destination=not arguments.dest_tls_verify,
    )
    with (
        open_host(
            options,
            lock_timeout=arguments.lock_timeout,
            source_credentials=arguments.src_creds,
            destination_credentials=arguments.dest_creds,
        ) as host,
        telling(output, quiet=arguments.quiet) as report,
    ):
        copied = copy(arguments.source, arguments.destination, wanted, host, report)
    write_digest(copied, arguments.digestfile)
    answer(copied, output, image=arguments.source, destination=arguments.destination)
    return ExitCode.DONE


def _extent(arguments: argparse.Namespace) -> Extent:
    """Raises UsageError for two options that say different things."""
    chosen = None if arguments.multi_arch is None else Extent(arguments.multi_arch)
    if arguments.all and chosen not in (None, Extent.ALL):
        raise UsageError(f"--all and --multi-arch={arguments.multi_arch} exclude each other")
    return Extent.ALL if arguments.all else chosen or Extent.SYSTEM
