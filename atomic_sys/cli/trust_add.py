# SPDX-License-Identifier: LGPL-2.1-or-later
"""The command line of `atomic trust add`."""

import argparse

from atomic_sys import log
from atomic_sys.cli.arguments import add_assume_yes, add_lock_timeout, add_transport
from atomic_sys.cli.opening import open_host
from atomic_sys.cli.options import GlobalOptions
from atomic_sys.cli.output import agree
from atomic_sys.errors import ExitCode
from atomic_sys.trust.new_requirements import Kind, Require, identity
from atomic_sys.verbs.trust_add import Add, Prepared, apply, prepare
from atomic_sys.verbs.trust_edit import transport_named
from atomic_sys.verbs.trust_keys import KeyOptions


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add = parser.add_argument
    add("scope", metavar="SCOPE", help="REGISTRY[/REPOSITORY], or the path of a local image")
    add("-k", "--pubkeys", action="append", default=[], metavar="KEY", help="FILE, URL or KEYID")
    add("-f", "--pubkeysfile", action="append", default=[], metavar="FILE", help="stays there")
    add(
        "-t",
        "--type",
        default=Kind.SIGNED_BY.value,
        choices=[kind.value for kind in Kind],
        help="default: %(default)s",
    )
    add("--keytype", default="GPGKeys", choices=["GPGKeys"], help="the only one there is")
    add("--require", choices=[one.value for one in Require], help="of several keys; default: all")
    add("--identity", metavar="TYPE[=NAME]", help="which names a signature may speak of")
    add("-s", "--sigstore", metavar="URL", help="where signatures are stored")
    add("-g", "--gnupghome", metavar="DIR", help="the home of gpg that has KEYID")
    add_transport(parser)
    add_assume_yes(parser)
    add_lock_timeout(parser)


def run(arguments: argparse.Namespace, options: GlobalOptions) -> ExitCode:
    """Show what is new, ask, and write."""
    request = Add(
        transport=transport_named(arguments.transport),
        scope=arguments.scope,
        kind=Kind(arguments.type),
        keys=KeyOptions(
            keys=tuple(arguments.pubkeys),
            files=tuple(arguments.pubkeysfile),
            gnupghome=arguments.gnupghome,
        ),
        require=Require(arguments.require or Require.ALL.value),
        identity=None if arguments.identity is None else identity(arguments.identity),
        lookaside=arguments.sigstore,
    )
    yes = arguments.assumeyes or options.assume_yes
    with open_host(options, lock_timeout=arguments.lock_timeout) as host:
        prepared = prepare(request, host)
        _tell(prepared, request)
        _ask(prepared, yes=yes)
        for path in apply(prepared, host):
            log.note(f"written: {path}")
    return ExitCode.DONE


def _tell(prepared: Prepared, request: Add) -> None:
    for fact in prepared.flawed:
        log.warn(f"no signature of this key counts: {fact}")
    if len(prepared.keys) > 1 and request.require is Require.ALL:
        log.note(f"all {len(prepared.keys)} keys must sign; with --require any, one is enough")
    if request.kind is Kind.ACCEPT:
        log.warn(f"every image of {request.transport} {request.scope} will be accepted")


def _ask(prepared: Prepared, *, yes: bool) -> None:
    """Keys that came over a network need a person, or -y; an explicit scope confirms itself."""
    for key in prepared.fetched:
        what = [f"Fetched from {key.source}", *(f"  {fact}" for fact in key.facts)]
        if key.source.startswith("http://"):
            what.append("  NOT ENCRYPTED: anybody on the way could have changed it")
        for line in what if yes else ():
            log.note(line)
        agree([*what, "Do you trust whoever has this key?"], assume_yes=yes, unattended=False)
    if prepared.replaces:
        question = (
            f"Trust policy already defined for {prepared.place[0]}:{prepared.place[1]}",
            "Do you want to overwrite?",
        )
        agree(question, assume_yes=yes, unattended=True)
