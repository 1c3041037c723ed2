# SPDX-License-Identifier: LGPL-2.1-or-later
"""The command line of `atomic push`; some of its options are the predecessor's."""

import argparse
import getpass
import sys

from atomic_sys.cli.arguments import (
    add_authfile,
    add_lock_timeout,
    add_source_credentials,
    add_storage,
    check_storage,
)
from atomic_sys.cli.copying import add_destination_options, answer, telling, write_digest
from atomic_sys.cli.opening import open_host
from atomic_sys.cli.options import GlobalOptions
from atomic_sys.cli.output import Output
from atomic_sys.engine.copy import Extent, Signatures
from atomic_sys.errors import ExitCode, UsageError
from atomic_sys.verbs.copy import CopyOptions, push


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add = parser.add_argument
    add("image", metavar="IMAGE", help="an image of the store, by its name or id")
    add("destination", metavar="DESTINATION", nargs="?", help="where to, if not to its own name")
    add("-a", "--all", action="store_true", help="the whole index that the image was chosen from")
    add("-u", "--username", metavar="USER", help="user of the registry; see --dest-creds")
    add("-p", "--password", metavar="PASSWORD", help="asked for at a terminal if not given")
    add("--anonymous", action="store_true", help="send no credentials")
    add("--insecure", action="store_true", help="the same as --dest-tls-verify=false")
    add("-t", "--type", choices=("docker",), default="docker", help=argparse.SUPPRESS)
    add_storage(parser)
    add_source_credentials(parser)
    add_destination_options(parser)
    add_authfile(parser)
    add_lock_timeout(parser)


def run(arguments: argparse.Namespace, options: GlobalOptions) -> ExitCode:
    """Push, and say what was done."""
    check_storage(arguments)
    output = Output(json=arguments.json)
    options = options._replace(authfile=arguments.authfile or options.authfile)
    wanted = CopyOptions(
        extent=Extent.ALL if arguments.all else Extent.SYSTEM,
        signatures=Signatures.REMOVE if arguments.remove_signatures else Signatures.KEEP,
        insecure_destination=arguments.insecure or not arguments.dest_tls_verify,
        anonymous=arguments.anonymous,
    )
    with (
        open_host(
            options,
            lock_timeout=arguments.lock_timeout,
            source_credentials=arguments.src_creds,
            destination_credentials=_credentials(arguments),
        ) as host,
        telling(output, quiet=arguments.quiet) as report,
    ):
        copied = push(arguments.image, arguments.destination, wanted, host, report)
    write_digest(copied, arguments.digestfile)
    answer(copied, output, image=arguments.image, destination=arguments.destination)
    return ExitCode.DONE


def _credentials(arguments: argparse.Namespace) -> str | None:
    """`USER:PASSWORD`, asked for where only the user is given. Raises UsageError."""
    given = [arguments.dest_creds, arguments.username, arguments.anonymous or None]
    if sum(value is not None for value in given) > 1:
        raise UsageError("--dest-creds, --username and --anonymous exclude each other")
    user, password = arguments.username, arguments.password
    if user is None:
        if password is not None:
            raise UsageError("--password needs --username")
        return str(arguments.dest_creds) if arguments.dest_creds is not None else None
    if not user or ":" in user:
        raise UsageError("a user name without ':' is needed")
    if password is None:
        if not sys.stdin.isatty():
            raise UsageError("there is no terminal to ask for a password", hint="--dest-creds")
        password = getpass.getpass("Password: ")
    return f"{user}:{password}"
