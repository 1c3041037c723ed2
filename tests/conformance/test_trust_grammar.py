# SPDX-License-Identifier: LGPL-2.1-or-later
"""Which policies can be read: skopeo of Debian 13 takes, and refuses, the same ones as we."""

import json
from pathlib import Path
from typing import Any

import pytest

from atomic_sys.trust.policy import InvalidPolicy, parse
from tests.conformance.judging import skopeo, unsigned
from tests.support.newer_skopeo import newer_skopeo

pytestmark = pytest.mark.conformance
B64 = "eHl6"
CA = {"caPath": "/ca"}
WHO = {"oidcIssuer": "https://o", "subjectEmail": "a@x"}
LOG = {"rekorPublicKeyPath": "/log"}
ROOTS = {"caRootsPath": "/ca"}
KEYS: list[dict[str, Any]] = [
    {}, {"keyPath": "/k"}, {"keyPath": ""}, {"keyPath": None}, {"keyPath": 1}, {"keyPath": ["/k"]},
    {"keyPaths": ["/k"]}, {"keyPaths": ["/k", "/l"]}, {"keyPaths": []}, {"keyPaths": None},
    {"keyPaths": [""]}, {"keyPaths": [1]}, {"keyPaths": "/k"},
    {"keyData": B64}, {"keyData": ""}, {"keyData": "e"}, {"keyData": None}, {"keyData": [B64]},
    {"keyDatas": [B64]}, {"keyDatas": [B64, B64]}, {"keyDatas": []}, {"keyDatas": [1]},
    {"keyDatas": ["e"]}, {"keyDatas": [None]}, {"keyDatas": None},
    {"keyPath": "/k", "keyData": B64}, {"keyPaths": ["/k"], "keyDatas": [B64]},
    {"keyPath": "/k", "keyPaths": ["/k"]}, {"keypath": "/k"}, {"keyPath": "/k", "x": 1},
    {"keyPath": "/k", "keyType": "GPGKeys"},
]  # fmt: skip
LOGS: list[dict[str, Any]] = [
    {"rekorPublicKeyPath": "/r"}, {"rekorPublicKeyPath": ""}, {"rekorPublicKeyPath": None},
    {"rekorPublicKeyPaths": ["/r"]}, {"rekorPublicKeyPaths": []}, {"rekorPublicKeyPaths": [1]},
    {"rekorPublicKeyData": B64}, {"rekorPublicKeyData": ""}, {"rekorPublicKeyData": "e"},
    {"rekorPublicKeyDatas": [B64]}, {"rekorPublicKeyDatas": []}, {"rekorPublicKeyDatas": ["e"]},
    {"rekorPublicKeyPath": "/r", "rekorPublicKeyData": B64},
    {"rekorPublicKeyPaths": ["/r"], "rekorPublicKeyDatas": [B64]},
]  # fmt: skip
FULCIOS: list[Any] = [
    CA | WHO, {"caData": B64} | WHO, CA, WHO, CA | {"caData": B64} | WHO, CA | WHO | {"x": 1},
    CA | {"oidcIssuer": "https://o"}, CA | {"subjectEmail": "a@x"}, CA | WHO | {"oidcIssuer": ""},
    CA | WHO | {"subjectEmail": ""}, CA | WHO | {"subjectEmail": None}, {"caPath": ""} | WHO,
    {"caData": ""} | WHO, {"caData": "e"} | WHO, None, {}, [],
]  # fmt: skip
PKIS: list[Any] = [
    ROOTS | {"subjectEmail": "a@x"}, ROOTS | {"subjectHostname": "h"},
    ROOTS | {"subjectEmail": "a@x", "subjectHostname": "h"}, ROOTS, {"subjectEmail": "a@x"},
    {"caRootsData": B64, "subjectEmail": "a@x"}, {"caRootsData": "e", "subjectEmail": "a@x"},
    ROOTS | {"caRootsData": B64, "subjectEmail": "a@x"},
    ROOTS | {"caIntermediatesPath": "/i", "subjectEmail": "a@x"},
    ROOTS | {"caIntermediatesData": B64, "subjectEmail": "a@x"},
    ROOTS | {"caIntermediatesPath": "/i", "caIntermediatesData": B64, "subjectEmail": "a@x"},
    ROOTS | {"caIntermediatesPath": "", "subjectEmail": "a@x"},
    ROOTS | {"subjectEmail": ""}, ROOTS | {"subjectHostname": ""}, ROOTS | {"subjectEmail": None},
    ROOTS | {"subjectEmail": "a@x", "x": 1}, {"caRootsPath": "", "subjectEmail": "a@x"}, None, {},
]  # fmt: skip
REQUIREMENTS = [
    *KEYS,
    *({"keyPath": "/k"} | log for log in LOGS),
    *({"fulcio": fulcio} | LOG for fulcio in FULCIOS),
    {"fulcio": CA | WHO}, {"fulcio": CA | WHO, "keyPath": "/k"} | LOG,
    *({"pki": pki} for pki in PKIS),
    {"pki": ROOTS | {"subjectEmail": "a@x"}} | LOG,
    {"pki": ROOTS | {"subjectEmail": "a@x"}, "fulcio": CA | WHO} | LOG,
    *({"keyPath": "/k", "signedIdentity": identity} for identity in (
        None, {}, {"type": "matchRepository"}, {"type": "matchExact", "x": 1}, {"type": "x"},
        {"type": "remapIdentity", "prefix": "a.example", "signedPrefix": "b.example"})),
]  # fmt: skip


# An empty or null value is none to skopeo: a log that somebody meant to be asked would not be.
STRICTER: list[dict[str, Any]] = [
    {"keyDatas": [None]},
    {"keyPath": "/k", "rekorPublicKeyPath": ""},
    {"keyPath": "/k", "rekorPublicKeyPath": None},
    {"pki": ROOTS | {"caIntermediatesPath": "", "subjectEmail": "a@x"}},
]


def as_policy(requirement: dict[str, Any]) -> str:
    return json.dumps({"default": [{"type": "sigstoreSigned"} | requirement]})


def is_valid(document: bytes) -> bool:
    try:
        parse(document, "policy")
    except InvalidPolicy:
        return False
    return True


def test_sigstore_signed(tmp_path: Path) -> None:
    program, image, policy = newer_skopeo(), unsigned(tmp_path / "image"), tmp_path / "policy.json"
    found: dict[str, tuple[bool, bool]] = {}
    for requirement in REQUIREMENTS:
        text = as_policy(requirement)
        policy.write_text(text)
        theirs = skopeo(policy, image, tmp_path / "copy", program) != "invalid"
        found[text] = (theirs, is_valid(text.encode()))
    different = [text for text, both in found.items() if both[0] != both[1]]
    assert different == [as_policy(requirement) for requirement in STRICTER]
    assert all(found[text] == (True, False) for text in different)
    assert {ours for _, ours in found.values()} == {True, False}
