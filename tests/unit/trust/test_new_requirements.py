# SPDX-License-Identifier: LGPL-2.1-or-later
"""Requirements made from options are what the policy's own parser takes."""

import base64
import json
from typing import Any

import pytest

from atomic_sys.errors import UsageError
from atomic_sys.trust.new_requirements import Kind, NewKey, Require, identity, requirements
from atomic_sys.trust.policy import parse

INLINE = [NewKey(content=b"one", path=None), NewKey(content=b"two", path=None)]
FILES = [NewKey(content=b"one", path="/a"), NewKey(content=b"two", path="/b")]
HEAD: dict[str, Any] = {"type": "signedBy", "keyType": "GPGKeys"}
SIGSTORE: dict[str, Any] = {"type": "sigstoreSigned"}


def b64(content: bytes) -> str:
    return base64.b64encode(content).decode()


@pytest.mark.parametrize(
    ("kind", "keys", "require", "expected"),
    [
        (Kind.REJECT, [], Require.ALL, [{"type": "reject"}]),
        (Kind.ACCEPT, [], Require.ANY, [{"type": "insecureAcceptAnything"}]),
        (Kind.SIGNED_BY, FILES[:1], Require.ANY, [HEAD | {"keyPath": "/a"}]),
        (Kind.SIGNED_BY, FILES, Require.ANY, [HEAD | {"keyPaths": ["/a", "/b"]}]),
        (Kind.SIGNED_BY, FILES, Require.ALL,
         [HEAD | {"keyPath": "/a"}, HEAD | {"keyPath": "/b"}]),
        (Kind.SIGNED_BY, INLINE, Require.ANY, [HEAD | {"keyData": b64(b"onetwo")}]),
        (Kind.SIGNED_BY, [INLINE[0], FILES[1]], Require.ALL,
         [HEAD | {"keyData": b64(b"one")}, HEAD | {"keyPath": "/b"}]),
        (Kind.SIGSTORE_SIGNED, INLINE, Require.ANY,
         [SIGSTORE | {"keyDatas": [b64(b"one"), b64(b"two")]}]),
        (Kind.SIGSTORE_SIGNED, INLINE[:1], Require.ANY, [SIGSTORE | {"keyData": b64(b"one")}]),
    ],
)  # fmt: skip
def test_requirements(
    kind: Kind, keys: list[NewKey], require: Require, expected: list[dict[str, Any]]
) -> None:
    made = requirements(kind, keys, require, None)
    assert made == expected
    parse(json.dumps({"default": made}).encode(), "p")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("matchExact", {"type": "matchExact"}),
        ("exactReference=a.example/x:1",
         {"type": "exactReference", "dockerReference": "a.example/x:1"}),
        ("remapIdentity=a.example=b.example/x",
         {"type": "remapIdentity", "prefix": "a.example", "signedPrefix": "b.example/x"}),
    ],
)  # fmt: skip
def test_identity(text: str, expected: dict[str, Any]) -> None:
    assert identity(text) == expected
    made = requirements(Kind.SIGNED_BY, FILES, Require.ALL, identity(text))
    assert all(one["signedIdentity"] == expected for one in made)
    parse(json.dumps({"default": made}).encode(), "p")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "'' is no type"),
        ("matchAll", "'matchAll' is no type"),
        ("matchExact=x", "written as matchExact"),
        ("exactReference", "exactReference=DOCKERREFERENCE"),
        ("remapIdentity=a.example", "remapIdentity=PREFIX=SIGNEDPREFIX"),
    ],
)
def test_no_identity(text: str, reason: str) -> None:
    with pytest.raises(UsageError, match=reason):
        identity(text)
