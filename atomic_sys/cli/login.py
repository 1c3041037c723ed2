# SPDX-License-Identifier: LGPL-2.1-or-later
"""The command line of `atomic login`."""

import argparse
import getpass
import sys

from atomic_sys.cli.arguments import add_authfile, add_lock_timeout
from atomic_sys.cli.opening import open_host
from atomic_sys.cli.options import GlobalOptions
from atomic_sys.cli.output import Output
from atomic_sys.errors import ExitCode, UsageError
from atomic_sys.image.auth_file import Password
from atomic_sys.model.stream import read_limited
from atomic_sys.verbs.login import login, registry_key

_PASSWORD_LIMIT = 1 << 16  # bytes; some registries give whole keys as passwords


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add = parser.add_argument
    add("registry", metavar="REGISTRY", help="HOST[:PORT][/REPOSITORY]")
    add("-u", "--username", metavar="USER", help="instead of asking for it")
    add("--password-stdin", action="store_true", help="read the password from standard input")
    add_authfile(parser)
    add_lock_timeout(parser)


def run(arguments: argparse.Namespace, options: GlobalOptions) -> ExitCode:
    """Log in."""
    key = registry_key(arguments.registry)
    options = options._replace(authfile=arguments.authfile or options.authfile)
    credentials = _credentials(arguments)
    with open_host(options, lock_timeout=arguments.lock_timeout) as host:
        login(key, credentials, host)
    Output().say("Login Succeeded!")
    return ExitCode.DONE


def _credentials(arguments: argparse.Namespace) -> Password:
    """Asked for at a terminal, where they were not given."""
    user = arguments.username
    if arguments.password_stdin:
        if not user:
            raise UsageError("--password-stdin needs --username")
        content = read_limited(sys.stdin.buffer, _PASSWORD_LIMIT, "the password")
        try:
            password = content.decode().removesuffix("\n").removesuffix("\r")
        except UnicodeDecodeError:
            raise UsageError("the password is not UTF-8") from None
    elif sys.stdin.isatty():
        user = user or _ask_user()
        password = getpass.getpass("Password: ")
    else:
        raise UsageError("there is no terminal to ask for a password", hint="--password-stdin")
    if not user or ":" in user or not password:
        raise UsageError("a user name without ':' and a password are needed")
    return Password(user=user, password=password)


def _ask_user() -> str:
    print("Username: ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip()
