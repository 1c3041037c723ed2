# SPDX-License-Identifier: LGPL-2.1-or-later
"""The command line of `atomic trust generate-key`."""

import argparse
import getpass
import sys

from atomic_sys.cli.options import GlobalOptions
from atomic_sys.cli.output import Output
from atomic_sys.errors import ExitCode, UsageError
from atomic_sys.verbs.sign import generate_key, read_passphrase


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add = parser.add_argument
    add("--output-prefix", required=True, metavar="PREFIX", help="of PREFIX.private and PREFIX.pub")
    add("--sign-passphrase-file", metavar="FILE", help="its first line is to open the key")


def run(arguments: argparse.Namespace, options: GlobalOptions) -> ExitCode:
    """Make the pair; `options` say nothing of it."""
    del options
    output = Output()
    for path in generate_key(arguments.output_prefix, _passphrase(arguments)):
        output.say(f"Created: {path}")
    return ExitCode.DONE


def _passphrase(arguments: argparse.Namespace) -> bytes:
    """From the file, else asked for twice at the terminal."""
    if arguments.sign_passphrase_file:
        return read_passphrase(arguments.sign_passphrase_file)
    if not sys.stdin.isatty():
        raise UsageError("no terminal to ask for a passphrase", hint="--sign-passphrase-file FILE")
    first = getpass.getpass("Passphrase for the private key: ")
    if getpass.getpass("Once more: ") != first:
        raise UsageError("the two passphrases differ")
    return first.encode()
