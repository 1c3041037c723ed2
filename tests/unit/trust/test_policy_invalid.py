# SPDX-License-Identifier: LGPL-2.1-or-later
"""What makes a whole policy.json invalid, and why it says it is."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atomic_sys.trust.policy import InvalidPolicy, parse
from tests.unit.trust.policies import (
    CERTIFICATE,
    HEX,
    REJECT,
    identified,
    policy,
    signed_by,
    sigstore,
)


def keyed(**fields: Any) -> bytes:
    return policy(signed_by(keyPath="ABSENT", **fields))


DEFAULT = '"default":[{"type":"reject"}]'
INVALID: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "JSON"),
    "blank": (b" \n", "JSON"),
    "BOM": (b"\xef\xbb\xbf{" + DEFAULT.encode() + b"}", "JSON"),
    "not UTF-8": (b'{"default":[{"type":"\xff"}]}', "UTF-8"),
    "trailing": (f"{{{DEFAULT}}} x".encode(), "JSON"),
    "second": (f"{{{DEFAULT}}}{{}}".encode(), "JSON"),
    "comment": (f"{{{DEFAULT}}}// x".encode(), "JSON"),
    "comma": (f"{{{DEFAULT},}}".encode(), "JSON"),
    "NaN": (b'{"default":NaN}', "NaN"),
    "array": (b"[]", r"\$ is not an object"),
    "no default": (b"{}", "'default' is missing"),
    "default []": (b'{"default":[]}', r"\$\.default is empty"),
    "default null": (b'{"default":null}', r"\$\.default is not an array"),
    "default {}": (b'{"default":{}}', r"\$\.default is not an array"),
    "Default": (b'{"Default":[]}', "unknown key 'Default'"),
    "duplicate": (f"{{{DEFAULT},{DEFAULT}}}".encode(), "duplicate key"),
    "escaped duplicate": (b'{"default":[{"type":"reject","\\u0074ype":"reject"}]}', "duplicate"),
    "transports null": (f'{{{DEFAULT},"transports":null}}'.encode(), "transports is not an object"),
    "transport null": (
        f'{{{DEFAULT},"transports":{{"dir":null}}}}'.encode(), "dir is not an object",
    ),
    "scope null": (
        f'{{{DEFAULT},"transports":{{"dir":{{"":null}}}}}}'.encode(), r'dir\[""\] is not an array',
    ),
    "scope []": (f'{{{DEFAULT},"transports":{{"dir":{{"":[]}}}}}}'.encode(), "is empty"),
    "bad scope": (
        f'{{{DEFAULT},"transports":{{"dir":{{"/a/":[{{"type":"reject"}}]}}}}}}'.encode(),
        r'\$\.transports\.dir\["/a/"\]: a scope is',
    ),
    "surrogate scope": (
        f'{{{DEFAULT},"transports":{{"docker":{{"\\ud800":[]}}}}}}'.encode(), "surrogate",
    ),
    "bad below unknown transport": (
        f'{{{DEFAULT},"transports":{{"x":{{"y":[{{"type":"z"}}]}}}}}}'.encode(),
        r"\$\.transports\.x\.y\[0\]\.type: unknown requirement 'z'",
    ),
    "deep": (b"[" * 20000, "deeply"),
    "requirement null": (policy(None), "not an object"),
    "no type": (policy({}), "'type' is missing"),
    "type null": (policy({"type": None}), "type is not a string"),
    "Type": (policy({"Type": "reject"}), "'type' is missing"),
    "reject extra": (policy({"type": "reject", "x": 1}), "unknown key 'x'"),
    "anything extra": (policy({"type": "insecureAcceptAnything", "x": 1}), "unknown key 'x'"),
    "signedBy extra": (policy(signed_by(x=1)), "unknown key 'x'"),
    "keyPath empty": (policy(signed_by(keyPath="")), "keyPath is empty"),
    "keyPath null": (policy(signed_by(keyPath=None)), "keyPath is not a string"),
    "keyPath surrogate": (policy(signed_by(keyPath="\udfff")), "surrogate"),
    "keyPaths string": (keyed(keyPaths="/k"), "keyPaths is not an array"),
    "keyPaths null": (keyed(keyPaths=[None]), r"keyPaths\[0\] is not a string"),
    "keyData null": (keyed(keyData=None), "keyData is not a string"),
    "base64 space": (keyed(keyData="eH l6"), "not base64"),
    "base64 short": (keyed(keyData="eHl"), "not base64"),
    "base64 alphabet": (keyed(keyData="_-__"), "not base64"),
    "base64 padding": (keyed(keyData="===="), "not base64"),
    "base64 one digit": (keyed(keyData="A==="), "not base64"),
    "two keys": (policy(signed_by(keyData="eA==")), "keyPath and keyData exclude"),
    "no keys": (keyed(), "one of keyPath, keyPaths, keyData is missing"),
    "keyType missing": (policy(signed_by(keyType="ABSENT")), "'keyType' is missing"),
    "keyType null": (policy(signed_by(keyType=None)), "keyType is not a string"),
    "keyType case": (policy(signed_by(keyType="gpgKeys")), "unknown key type"),
    "identity null": (policy(signed_by(signedIdentity=None)), "signedIdentity is not an object"),
    "identity {}": (identified(), "'type' is missing"),
    "identity unknown": (identified(type="x"), "unknown identity"),
    "identity extra": (identified(type="matchExact", x=1), "unknown key 'x'"),
    "baseLayerIdentity missing": (policy({"type": "signedBaseLayer"}), "is missing"),
    "baseLayerIdentity null": (
        policy({"type": "signedBaseLayer", "baseLayerIdentity": None}), "not an object",
    ),
    "sigstore nothing": (sigstore(), "one of keyPath"),
    "sigstore two": (sigstore(keyPath="/k", keyDatas=["eA=="]), "exclude each other"),
    "sigstore extra": (sigstore(keyPath="/k", keyType="GPGKeys"), "unknown key 'keyType'"),
    "sigstore no paths": (sigstore(keyPaths=[]), "keyPaths is empty"),
    "sigstore no datas": (sigstore(keyDatas=[]), "keyDatas is empty"),
    "sigstore path": (sigstore(keyPath=""), "keyPath is empty"),
    "two rekors": (
        sigstore(keyPath="/k", rekorPublicKeyPath="/r", rekorPublicKeyData="eA=="), "exclude",
    ),
    "fulcio without rekor": (sigstore(fulcio=CERTIFICATE), "fulcio needs"),
    "fulcio issuer": (
        sigstore(fulcio={"caPath": "/c", "subjectEmail": "a"}, rekorPublicKeyPath="/r"),
        "oidcIssuer",
    ),
    "pki with rekor": (
        sigstore(
            pki={"caRootsPath": "/r", "subjectHostname": "h"}, rekorPublicKeyPath="/r"
        ),
        "pki and rekorPublicKeyPath exclude",
    ),
    "pki nobody": (sigstore(pki={"caRootsPath": "/r"}), "one of subjectEmail"),
    "pki no roots": (sigstore(pki={"subjectHostname": "h"}), "one of caRootsPath"),
}  # fmt: skip


@pytest.mark.parametrize("case", INVALID)
def test_invalid(case: str) -> None:
    document, message = INVALID[case]
    with pytest.raises(InvalidPolicy, match=message) as caught:
        parse(document, "/etc/policy.json")
    assert str(caught.value).startswith(("/etc/policy.json: ", "a scope of /etc/policy.json: "))


REFERENCES = ["busybox", "UPPER:1", HEX, "", "x" * 300 + ":1", "x:y\n", "busybox@md5:00"]


@pytest.mark.parametrize("reference", REFERENCES)
def test_invalid_reference(reference: str) -> None:
    with pytest.raises(InvalidPolicy, match="dockerReference"):
        parse(identified(type="exactReference", dockerReference=reference), "p")


@pytest.mark.parametrize("repository", ["BUSY", "", HEX])
def test_invalid_repository(repository: str) -> None:
    with pytest.raises(InvalidPolicy, match="dockerRepository"):
        parse(identified(type="exactRepository", dockerRepository=repository), "p")


WORDS = st.sampled_from([
    "default", "transports", "type", "reject", "signedBy", "keyType", "GPGKeys", "keyPath", "/k",
    "keyPaths", "keyData", "docker", "dir", "signedIdentity", "matchExact", "remapIdentity",
    "prefix", "signedPrefix", "sigstoreSigned", "fulcio", "pki", "exactReference", "eA==",
    "dockerReference", "signedBaseLayer", "baseLayerIdentity", "a.example",
])  # fmt: skip
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | WORDS | st.text(max_size=4),
    lambda below: st.lists(below, max_size=3) | st.dictionaries(WORDS, below, max_size=4),
    max_leaves=20,
)


@given(VALUES)
def test_never_crashes_on_json(value: object) -> None:
    for document in (value, {"default": [value]}, {"default": REJECT, "transports": value}):
        try:
            parse(json.dumps(document).encode(), "p")
        except InvalidPolicy:
            continue


@given(st.binary())
def test_never_crashes_on_bytes(document: bytes) -> None:
    with pytest.raises(InvalidPolicy):
        parse(document, "p")
