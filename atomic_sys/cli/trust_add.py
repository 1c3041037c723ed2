# SPDX-License-Identifier: LGPL-2.1-or-later
"""The command line of `atomic trust add`."""

import argparse
import sys
from collections.abc import Sequence

from atomic_sys.cli.arguments import add_lock_timeout
from atomic_sys.cli.opening import open_host
from atomic_sys.cli.options import GlobalOptions
from atomic_sys.errors import ExitCode, UsageError, printable
from atomic_sys.verbs.trust_edit import TRANSPORTS, Addition, RequirementType, Several, add


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add_ = parser.add_argument
    add_("scope", metavar="REGISTRY[/REPOSITORY]", help="what is to be trusted")
    add_("-t", "--type", default=RequirementType.SIGNED_BY.value,
         choices=[one.value for one in RequirementType], help="what is asked for")  # fmt: skip
    add_("-k", "--pubkeys", action="append", default=[], metavar="KEY",
         help="a key to embed: a file, an address, or the id of a key of yours")  # fmt: skip
    add_("-f", "--pubkeysfile", action="append", default=[], metavar="FILE",
         help="a key file that stays where it is")  # fmt: skip
    add_("--require", choices=[one.value for one in Several],
         help="of several keys: all must sign (the default), or any")  # fmt: skip
    add_("--keytype", choices=["GPGKeys"], default="GPGKeys", help=argparse.SUPPRESS)
    add_("--sigstoretype", default="web", choices=[*TRANSPORTS, *TRANSPORTS.values()],
         help="where the images are: web (a registry), local (dir:) or atomic")  # fmt: skip
    add_("-s", "--sigstore", metavar="URL", help="where signatures are looked up")
    add_lock_timeout(parser)


def run(arguments: argparse.Namespace, options: GlobalOptions) -> ExitCode:
    """Add it; exit 0 also when the user declines, as the predecessor did."""
    kind = arguments.sigstoretype
    addition = Addition(
        scope=arguments.scope,
        transport=TRANSPORTS.get(kind, kind),
        type=RequirementType(arguments.type),
        keys=tuple(arguments.pubkeys),
        key_files=tuple(arguments.pubkeysfile),
        several=Several(arguments.require or Several.ALL.value),
        lookaside=arguments.sigstore,
    )

    def confirm(question: str, lines: Sequence[str]) -> bool:
        return ask(question, lines, options)

    with open_host(options, lock_timeout=arguments.lock_timeout) as host:
        add(addition, host, confirm)
    return ExitCode.DONE


def ask(question: str, lines: Sequence[str], options: GlobalOptions) -> bool:
    """Ask whoever is at the terminal. Raises UsageError where nobody is, and -y was not given."""
    if options.assume_yes:
        return True
    print(*map(printable, lines), sep="\n", file=sys.stderr)
    if not sys.stdin.isatty():
        raise UsageError(f"{question} There is no terminal to ask", hint="atomic -y trust ...")
    print(f"{question} (y/N) ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")
