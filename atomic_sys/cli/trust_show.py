# SPDX-License-Identifier: LGPL-2.1-or-later
"""The command line of `atomic trust show`."""

import argparse
import sys

from atomic_sys.cli.opening import open_host
from atomic_sys.cli.options import GlobalOptions
from atomic_sys.cli.output import Output
from atomic_sys.errors import ExitCode, UsageError, printable
from atomic_sys.trust.lint import KeyState
from atomic_sys.verbs.trust_show import Effective, TrustRow, effective, raw_policy, rows

_LINE = "{0:<35} {1:<6} {2:<29} {3}"  # the predecessor's


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add = parser.add_argument
    add("--raw", action="store_true", help="print the policy file as it is")
    add("-j", "--json", action="store_true", help="print JSON")
    add("--effective", metavar="REF", help="show what applies to this image, and why")


def run(arguments: argparse.Namespace, options: GlobalOptions) -> ExitCode:
    """Print the policy, or the part of it that an image meets."""
    if arguments.raw and (arguments.json or arguments.effective):
        raise UsageError("--raw goes alone")
    with open_host(options) as host:
        if arguments.raw:
            sys.stdout.buffer.write(raw_policy(host))
        elif arguments.effective:
            found = effective(arguments.effective, host)
            if arguments.json:
                Output(json=True).emit(_effective_json(found))
            else:
                _print_effective(found)
        elif arguments.json:
            Output(json=True).emit({_name(row): _row_json(row) for row in rows(host)})
        else:
            for row in rows(host):
                _print_row(row)
    return ExitCode.DONE


def _name(row: TrustRow) -> str:
    """The predecessor's: the scope alone, where it is one of a registry."""
    if row.transport is None:
        return "* (default)"
    if row.transport == "docker":
        return row.scope or "docker (default)"
    return f"{row.transport}:{row.scope}"


def _words(row: TrustRow) -> list[str]:
    return list(dict.fromkeys(word for key in row.keys for word in key.words()))


def _print_row(row: TrustRow) -> None:
    line = _LINE.format(_name(row), row.word, ", ".join(_words(row)), row.lookaside)
    print(printable(line.rstrip()))


def _row_json(row: TrustRow) -> dict[str, object]:
    first = row.requirements[0].kind
    return {
        "type": first,
        "keys": None if row.transport is None else _words(row),
        "sigstore": row.lookaside or None,
        "transport": row.transport,
        "requirements": [requirement.kind for requirement in row.requirements],
        "fingerprints": [key.fingerprint for state in row.keys for key in state.keys],
    }


def _place(found: Effective) -> str:
    selection = found.selection
    if selection.transport is None:
        return "the default of the policy"
    return f"{selection.transport}: {selection.scope or 'the whole transport'}"


def _key_lines(state: KeyState) -> list[str]:
    if state.problem:
        return [f"{state.source}: {state.problem}"]
    return [f"{state.source}: {key.describe()}" for key in state.keys] or [state.source]


def _print_effective(found: Effective) -> None:
    name = found.identity.reference or (found.identity.scopes or ("(no name)",))[0]
    lines = [
        f"Image: {found.identity.transport} {name}",
        f"Policy: {found.selection.source}",
        f"Scope: {_place(found)}",
    ]
    if found.passed_over:
        lines.append(f"Not in the policy: {', '.join(found.passed_over)}")
    for requirement, keys in zip(found.selection.requirements, found.keys, strict=True):
        identity = getattr(requirement, "identity", None)
        named = "" if identity is None else f" ({_identity(identity)})"
        lines.append(f"Requirement: {requirement.kind}{named}")
        lines += [f"  key {line}" for key in keys for line in _key_lines(key)]
    if found.lookaside is not None:
        lines.append(f"Signatures are read below: {found.lookaside}")
        lines.append(f"Signatures are written below: {found.staging or 'nowhere'}")
        lines.append(f"Sigstore attachments: {'used' if found.attachments else 'not used'}")
    for line in lines:
        print(printable(line))


def _identity(identity: object) -> str:
    kind = type(identity).__name__
    return f"{kind[0].lower()}{kind[1:]}"


def _effective_json(found: Effective) -> dict[str, object]:
    return {
        "transport": found.identity.transport,
        "reference": str(found.identity.reference) if found.identity.reference else None,
        "policy": found.selection.source,
        "scope_transport": found.selection.transport,
        "scope": found.selection.scope,
        "passed_over": list(found.passed_over),
        "requirements": [
            {
                "type": requirement.kind,
                "identity": _identity(getattr(requirement, "identity", None))
                if hasattr(requirement, "identity")
                else None,
                "keys": [
                    {
                        "source": state.source,
                        "problem": state.problem or None,
                        "fingerprint": key.fingerprint,
                        "users": list(key.users),
                        "expires": key.expires,
                        "revoked": key.revoked,
                    }
                    for state in keys
                    for key in state.keys
                ],
                "problems": [state.problem for state in keys if state.problem],
            }
            for requirement, keys in zip(found.selection.requirements, found.keys, strict=True)
        ],
        "lookaside": found.lookaside,
        "lookaside_staging": found.staging,
        "sigstore_attachments": found.attachments,
    }
