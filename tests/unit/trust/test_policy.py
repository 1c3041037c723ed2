# SPDX-License-Identifier: LGPL-2.1-or-later
"""policy.json: what parses, into what, and what makes the whole file invalid."""

import json

import pytest

from atomic_sys.model.reference import DockerReference
from atomic_sys.trust import requirements as r
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

EXACT = r.MatchRepoDigestOrExact()


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
