# SPDX-License-Identifier: LGPL-2.1-or-later
"""A policy.json changed in one place: the rest keeps its bytes, and what comes out is parsed again.

An invalid policy is refused, since nobody knows what it was meant to say. The result is compared
with what the change should make of it, so that an edit that went wrong is never written.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from atomic_sys.errors import AtomicSysError
from atomic_sys.model.strict_json import Json
from atomic_sys.trust import json_edit, policy
from atomic_sys.trust.policy import InvalidPolicy
from atomic_sys.trust.requirements import Policy, Requirements

# What a host without a policy begins with: policy/policy.json of the package.
STARTING_POLICY = b"""{
    "default": [{"type": "reject"}],
    "transports": {
        "docker": {},
        "oci": {"": [{"type": "reject"}]},
        "dir": {"": [{"type": "reject"}]}
    }
}
"""
JsonRequirements = Sequence[Mapping[str, Json]]


def set_scope(
    document: bytes, what: str, place: tuple[str, str], requirements: JsonRequirements
) -> bytes:
    """The document with these requirements at `place`, a transport and a scope.

    Raises InvalidPolicy for a document that is no policy, and for requirements that are none.
    """
    transport, scope = place
    value: Json = [dict(one) for one in requirements]
    parsed = _parse_new(transport, scope, value)

    def expect(before: Policy) -> Policy:
        scopes = {**before.transports.get(transport, {}), scope: parsed}
        return replace(before, transports={**before.transports, transport: scopes})

    return _edit(
        document, what, lambda text: json_edit.put(text, ("transports", *place), value), expect
    )


def delete_scope(document: bytes, what: str, place: tuple[str, str]) -> bytes:
    """The document without the requirements at `place`. Raises InvalidPolicy, AtomicSysError."""
    transport, scope = place
    if scope not in policy.parse(document, what).transports.get(transport, {}):
        raise AtomicSysError(
            f"Could not find trust policy defined for {transport} transport {scope}".rstrip(),
            hint="atomic trust show lists what the policy has",
        )

    def expect(before: Policy) -> Policy:
        scopes = {key: value for key, value in before.transports[transport].items() if key != scope}
        return replace(before, transports={**before.transports, transport: scopes})

    return _edit(document, what, lambda text: json_edit.drop(text, ("transports", *place)), expect)


def set_default(document: bytes, what: str, requirements: JsonRequirements) -> bytes:
    """The document with these requirements alone as its default. Raises InvalidPolicy."""
    value: Json = [dict(one) for one in requirements]
    parsed = _parse_new("", "", value)
    return _edit(
        document,
        what,
        lambda text: json_edit.put(text, ("default",), value),
        lambda before: replace(before, default=parsed),
    )


def _parse_new(transport: str, scope: str, value: Json) -> Requirements:
    """The requirements by themselves, so that a mistake in them is not taken for the file's."""
    document: Json = {"default": [{"type": "reject"}], "transports": {transport: {scope: value}}}
    parsed = policy.parse(json_edit.dump(document).encode(), "the new requirements")
    return parsed.transports[transport][scope]


def _edit(
    document: bytes,
    what: str,
    change: Callable[[str], str],
    expect: Callable[[Policy], Policy],
) -> bytes:
    before = policy.parse(document, what)
    try:
        edited = change(document.decode()).encode()
        after = policy.parse(edited, what)
    except InvalidPolicy as error:
        raise AtomicSysError(f"the change would make {what} invalid: {error}") from None
    if after != expect(before):
        raise AtomicSysError(f"{what} cannot be changed without a loss", hint="edit it by hand")
    return edited
