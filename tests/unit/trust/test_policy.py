# SPDX-License-Identifier: LGPL-2.1-or-later
"""policy.json: what parses, into what, and what makes the whole file invalid."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atomic_sys.model.reference import DockerReference
from atomic_sys.trust import requirements as r
from atomic_sys.trust.policy import InvalidPolicy, parse

REJECT = [{"type": "reject"}]
HEX = "0123456789abcdef" * 4
EXACT = r.MatchRepoDigestOrExact()
CERTIFICATE = {"caPath": "/ca", "oidcIssuer": "https://i.example", "subjectEmail": "a@b.example"}


def policy(requirement: Any) -> bytes:
    return json.dumps({"default": [requirement]}).encode()


def signed_by(**changed: Any) -> dict[str, Any]:
    base = {"type": "signedBy", "keyType": "GPGKeys", "keyPath": "/k"} | changed
    return {key: value for key, value in base.items() if value != "ABSENT"}


def identified(**identity: Any) -> bytes:
    return policy(signed_by(signedIdentity=identity))


def sigstore(**fields: Any) -> bytes:
    return policy({"type": "sigstoreSigned"} | fields)


def only(document: bytes) -> r.Requirement:
    (requirement,) = parse(document, "p").default
    return requirement


def by(keys: r.KeySource, identity: r.Identity = EXACT) -> r.SignedBy:
    return r.SignedBy(key_type=r.KeyType.GPG_KEYS, keys=keys, identity=identity)


BUSYBOX = DockerReference.parse("busybox:1")
PARSES: dict[str, tuple[bytes, r.Requirement]] = {
    "anything": (policy({"type": "insecureAcceptAnything"}), r.InsecureAcceptAnything()),
    "reject": (policy({"type": "reject"}), r.Reject()),
    "keyPath": (policy(signed_by()), by(r.KeyPath("/k"))),
    "keyPaths": (
        policy(signed_by(keyPath="ABSENT", keyPaths=["/a", "/b"])),
        by(r.KeyPaths(("/a", "/b"))),
    ),
    "no keyPaths": (policy(signed_by(keyPath="ABSENT", keyPaths=[])), by(r.KeyPaths(()))),
    "keyData": (policy(signed_by(keyPath="ABSENT", keyData="eHl6")), by(r.KeyData(b"xyz"))),
    "no keyData": (policy(signed_by(keyPath="ABSENT", keyData="")), by(r.KeyData(b""))),
    "line ends": (policy(signed_by(keyPath="ABSENT", keyData="eH\r\nl6\n")), by(r.KeyData(b"xyz"))),
    "pad bits": (policy(signed_by(keyPath="ABSENT", keyData="eB==")), by(r.KeyData(b"x"))),
    "other key type": (
        policy(signed_by(keyType="X509Certificates")),
        r.SignedBy(key_type=r.KeyType.X509_CERTIFICATES, keys=r.KeyPath("/k"), identity=EXACT),
    ),
    "matchExact": (identified(type="matchExact"), by(r.KeyPath("/k"), r.MatchExact())),
    "matchRepoDigestOrExact": (identified(type="matchRepoDigestOrExact"), by(r.KeyPath("/k"))),
    "matchRepository": (
        identified(type="matchRepository"),
        by(r.KeyPath("/k"), r.MatchRepository()),
    ),
    "exactReference": (
        identified(type="exactReference", dockerReference="busybox:1"),
        by(r.KeyPath("/k"), r.ExactReference(BUSYBOX)),
    ),
    "exactRepository": (
        identified(type="exactRepository", dockerRepository="busybox:1"),
        by(r.KeyPath("/k"), r.ExactRepository(BUSYBOX)),
    ),
    "signedBaseLayer": (
        policy({"type": "signedBaseLayer", "baseLayerIdentity": {"type": "matchExact"}}),
        r.SignedBaseLayer(identity=r.MatchExact()),
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", PARSES)
def test_requirement(case: str) -> None:
    document, expected = PARSES[case]
    assert only(document) == expected


SIGSTORE: dict[str, tuple[bytes, object, object]] = {
    "keyPath": (sigstore(keyPath="/k"), r.KeyPath("/k"), None),
    "keyPaths": (sigstore(keyPaths=["/k"]), r.KeyPaths(("/k",)), None),
    "keyData": (sigstore(keyData="eA=="), r.KeyData(b"x"), None),
    "keyDatas": (sigstore(keyDatas=["eA=="]), r.KeyDatas((b"x",)), None),
    "rekor": (
        sigstore(keyPath="/k", rekorPublicKeyDatas=["eA=="]), r.KeyPath("/k"), r.KeyDatas((b"x",)),
    ),
    "fulcio": (
        sigstore(fulcio=CERTIFICATE, rekorPublicKeyPath="/r"),
        r.Fulcio(
            ca=r.KeyPath("/ca"), oidc_issuer="https://i.example", subject_email="a@b.example"
        ),
        r.KeyPath("/r"),
    ),
    "pki by mail": (
        sigstore(pki={"caRootsData": "eA==", "subjectEmail": "a@b.example"}),
        r.Pki(
            roots=r.KeyData(b"x"),
            intermediates=None,
            subject_email="a@b.example",
            subject_hostname=None,
        ),
        None,
    ),
    "pki by host": (
        sigstore(
            pki={"caRootsPath": "/r", "caIntermediatesPath": "/i", "subjectHostname": "b.example"}
        ),
        r.Pki(
            roots=r.KeyPath("/r"),
            intermediates=r.KeyPath("/i"),
            subject_email=None,
            subject_hostname="b.example",
        ),
        None,
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", SIGSTORE)
def test_sigstore(case: str) -> None:
    document, trusted, rekor = SIGSTORE[case]
    requirement = only(document)
    assert isinstance(requirement, r.SigstoreSigned)
    assert (requirement.trusted, requirement.rekor_keys) == (trusted, rekor)
    assert requirement.raw == json.loads(document)["default"][0]


def remap(prefix: str, signed: str = "s.example") -> bytes:
    return identified(type="remapIdentity", prefix=prefix, signedPrefix=signed)


GOOD_PREFIXES = [
    "localhost", "example.com", "example.com:80", "example.com/repo",
    "example.com/ns1/ns2/ns3/repo.with.dots-dashes_underscores",
    "example.com:80/ns1/ns2/ns3/repo.with.dots-dashes_underscores", "[::1]:80/repo",
]  # fmt: skip
BAD_PREFIXES = [
    "", "repo_with_underscores", "example.com/", "example.com/UPPERCASEISINVALID",
    "example.com/repo/", "example.com/repo:tag", f"example.com/repo@sha256:{HEX}",
    f"example.com/repo:tag@sha256:{HEX}", "*.example.com", "example.com\n", "shortname",
    "ns/shortname", "docker.io/busybox", "example.com:port",
]  # fmt: skip


@pytest.mark.parametrize("prefix", GOOD_PREFIXES)
def test_good_prefix(prefix: str) -> None:
    requirement = only(remap(prefix))
    assert requirement == by(
        r.KeyPath("/k"), r.RemapIdentity(prefix=prefix, signed_prefix="s.example")
    )


@pytest.mark.parametrize("prefix", BAD_PREFIXES)
def test_bad_prefix(prefix: str) -> None:
    with pytest.raises(InvalidPolicy, match="prefix"):
        parse(remap(prefix), "p")
    with pytest.raises(InvalidPolicy, match="signedPrefix"):
        parse(remap("ok.example", prefix), "p")


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


def test_transports() -> None:
    document = {
        "default": REJECT,
        "transports": {"dir": {}, "docker": {"": REJECT, "*typo": REJECT}, "new": {"?": REJECT}},
    }
    parsed = parse(json.dumps(document).encode() + b"\n", "p")
    assert parsed.source == "p"
    assert parsed.transports == {
        "dir": {},
        "docker": {"": (r.Reject(),), "*typo": (r.Reject(),)},
        "new": {"?": (r.Reject(),)},
    }


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
