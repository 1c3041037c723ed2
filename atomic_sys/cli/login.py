# SPDX-License-Identifier: LGPL-2.1-or-later
"""The command line of `atomic login`."""

import argparse
import getpass
import sys

from atomic_sys.cli.arguments import add_authfile, add_lock_timeout, add_tls_verify
from atomic_sys.cli.opening import open_host
from atomic_sys.cli.options import GlobalOptions
from atomic_sys.cli.output import Output
from atomic_sys.errors import ExitCode, UsageError
from atomic_sys.image.auth_file import Password
from atomic_sys.model.stream import read_limited
from atomic_sys.verbs.login import LoginPlace, is_valid, logged_in, login, registry_key

_PASSWORD_LIMIT = 1 << 16  # bytes; some registries give whole keys as passwords


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add = parser.add_argument
    add("registry", metavar="REGISTRY", help="HOST[:PORT][/REPOSITORY]")
    add("-u", "--username", metavar="USER", help="instead of asking for it")
    add("-p", "--password", metavar="PASSWORD", help="other users see it; better --password-stdin")
    add("--password-stdin", action="store_true", help="read the password from standard input")
    add("--get-login", action="store_true", help="only print who is logged in")
    add_tls_verify(parser, "--tls-verify", "the registry")
    add_authfile(parser)
    add_lock_timeout(parser)


def run(arguments: argparse.Namespace, options: GlobalOptions) -> ExitCode:
    """Log in, or say who is."""
    key = registry_key(arguments.registry)
    asking = not (arguments.username or arguments.password or arguments.password_stdin)
    options = options._replace(authfile=arguments.authfile or options.authfile)
    output = Output()
    with open_host(options, lock_timeout=arguments.lock_timeout) as host:
        if arguments.get_login:
            output.say(logged_in(key, host))
            return ExitCode.DONE
        place = LoginPlace(key=key, insecure=not arguments.tls_verify)
        if asking and is_valid(place, host):
            output.say(f"Existing credentials are valid. Already logged in to {key}")
            return ExitCode.DONE
        login(place, _credentials(arguments), host)
    output.say("Login Succeeded!")
    return ExitCode.DONE


def _credentials(arguments: argparse.Namespace) -> Password:
    """Asked for at a terminal, where they were not given."""
    user, password = arguments.username, arguments.password
    if (password is not None or arguments.password_stdin) and not user:
        raise UsageError("a password needs --username")
    if arguments.password_stdin:
        if password is not None:
            raise UsageError("--password and --password-stdin exclude each other")
        password = _read_password()
    elif password is None:
        if not sys.stdin.isatty():
            raise UsageError("there is no terminal to ask for a password", hint="--password-stdin")
        user = user or _ask_user()
        password = getpass.getpass("Password: ")
    if not user or ":" in user or not password:
        raise UsageError("a user name without ':' and a password are needed")
    return Password(user=user, password=password)


def _read_password() -> str:
    content = read_limited(sys.stdin.buffer, _PASSWORD_LIMIT, "the password")
    try:
        return content.decode().removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        raise UsageError("the password is not UTF-8") from None


def _ask_user() -> str:
    print("Username: ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip()
