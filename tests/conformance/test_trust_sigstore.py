# SPDX-License-Identifier: LGPL-2.1-or-later
"""sigstoreSigned before skopeo of Debian 13 and us: the same attachments, the same verdicts.

Keys, the log, Fulcio and one's own authority, each with what an attacker would try. Authority and
log are made here: both judges work offline, by what the policy names.
"""

import base64
import json
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

from atomic_sys.model.digest import Digest
from atomic_sys.trust.framing import SigstoreAttachment, frame
from atomic_sys.trust.sigstore import BUNDLE, CERTIFICATE, CHAIN, SIGNATURE
from tests.conformance.judging import ours, signed, skopeo
from tests.support.gpg import MANIFEST, NAME
from tests.support.newer_skopeo import newer_skopeo
from tests.support.sigstore import (
    CODE_SIGNING,
    NOW,
    Log,
    Private,
    annotated,
    attach,
    authority,
    certificate,
    issuer_notes,
    mail,
    new_key,
    payload,
    pem_of,
    public_pem,
)

pytestmark = pytest.mark.conformance
DIGEST = Digest.of(MANIFEST)
CONTENT = payload(DIGEST, NAME)
KEYS: dict[str, Private] = {
    "p256": new_key(),
    "p384": ec.generate_private_key(ec.SECP384R1()),
    "ed25519": ed25519.Ed25519PrivateKey.generate(),
    "rsa": rsa.generate_private_key(65537, 2048),
}
P256, OTHER, LEAF_KEY = KEYS["p256"], new_key(), new_key()
LOG = Log(new_key())
ISSUER, MAIL = "https://accounts.example.com", "a@example.com"
THEN = NOW - timedelta(hours=3)  # when the short-lived certificates were alive
SHORT = (THEN - timedelta(minutes=5), THEN + timedelta(minutes=5))
ROOT, STRANGER = authority("root"), authority("stranger")
BETWEEN = authority("between", ROOT)
SERVERS = (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), False)
TWO = x509.SubjectAlternativeName([x509.RFC822Name(one) for one in ("b@example.com", MAIL)])
HOST = x509.SubjectAlternativeName([x509.DNSName("host.example.com")])
FILES = {
    **{name: public_pem(key) for name, key in KEYS.items()},
    "other": public_pem(OTHER),
    "log": public_pem(LOG.key),
    "root": ROOT.pem,
    "between": BETWEEN.pem,
    "stranger": STRANGER.pem,
    "junk": b"junk",
}


def leaf(*extensions: Any, by: Any = BETWEEN, **more: Any) -> x509.Certificate:
    return certificate("", LEAF_KEY, by, [CODE_SIGNING, *extensions], **more)


SHORT_LIVED = leaf(mail(MAIL), issuer_notes(ISSUER), life=SHORT)
OWN = leaf(mail(MAIL))


def certified(
    made: x509.Certificate, chain: bytes | None = BETWEEN.pem + ROOT.pem, key: Any = LEAF_KEY
) -> SigstoreAttachment:
    """Signed with the key of a certificate."""
    notes = {CERTIFICATE: pem_of(made).decode()}
    notes |= {} if chain is None else {CHAIN: chain.decode()}
    return annotated(attach(CONTENT, key), notes)


def fulcio(made: x509.Certificate = SHORT_LIVED, at: Any = THEN, **more: Any) -> SigstoreAttachment:
    """The same, and the log knows it."""
    return LOG.logged(certified(made, **more), pem_of(made), at)


BARE = attach(CONTENT, P256)
LOGGED = LOG.logged(BARE, FILES["p256"])
ENTRY = LOG.entry(CONTENT, base64.b64decode(BARE.annotations[SIGNATURE]), FILES["p256"])


def promised(**changed: Any) -> SigstoreAttachment:
    """A promise that the log never made, of what it knows."""
    bundle = json.loads(LOGGED.annotations[BUNDLE])
    bundle["Payload"] |= changed
    return annotated(BARE, {BUNDLE: json.dumps(bundle)})


def entered(entry: Any, **more: Any) -> SigstoreAttachment:
    """With a promise for another entry."""
    return annotated(BARE, {BUNDLE: LOG.promise(entry, **more)})


def named(name: str, **more: Any) -> SigstoreAttachment:
    return attach(payload(DIGEST, name, **more), P256)


ATTACHMENTS: dict[str, list[SigstoreAttachment]] = {
    **{name: [attach(CONTENT, key)] for name, key in KEYS.items()},
    "nothing": [],
    "a stranger first": [attach(CONTENT, OTHER), BARE],
    "other content": [attach(CONTENT, P256, payload=CONTENT + b" ")],
    "other image": [attach(payload(Digest.of(b"x"), NAME), P256)],
    "other name": [named("example.com/ns/other:1")],
    "as cosign names it": [named("example.com/ns/repo")],
    "more in the payload": [named(NAME, more=1)],
    "optional": [named(NAME, optional={"creator": "x", "timestamp": 1, "more": {}})],
    "optional half a second": [named(NAME, optional={"timestamp": 1.5})],
    "optional of another type": [named(NAME, optional={"creator": 1})],
    "of gpg's type": [attach(
        CONTENT.replace(b"cosign container image", b"atomic container"), P256)],
    "not JSON": [attach(b"", P256)],
    "an attestation": [attach(CONTENT, P256, mime="application/vnd.dsse.envelope.v1+json")],
    "no signature": [attach(CONTENT, P256, annotations={})],
    "no base64": [attach(CONTENT, P256, annotations={SIGNATURE: "a b"})],
    "logged": [LOGGED],
    "logged elsewhere": [Log(new_key()).logged(BARE, FILES["p256"])],
    "logged for another key": [LOG.logged(BARE, FILES["rsa"])],
    "logged of another signature": [annotated(BARE, {
        BUNDLE: LOG.bundle(attach(CONTENT, P256), FILES["p256"])})],
    "logged of other content": [entered(LOG.entry(
        b"x", base64.b64decode(BARE.annotations[SIGNATURE]), FILES["p256"]))],
    "another time": [promised(integratedTime=1)],
    "another index": [promised(logIndex=8)],
    "another log": [promised(logID="00")],
    "more in the entry": [promised(more=1)],
    "another kind of entry": [entered(ENTRY | {"kind": "intoto"})],
    "another version of it": [entered(ENTRY | {"apiVersion": "0.0.2"})],
    "half a bundle": [annotated(BARE, {BUNDLE: json.dumps({"Payload": {}})})],
    "bundle of junk": [annotated(BARE, {BUNDLE: "junk"})],
    "fulcio": [fulcio()],
    "fulcio, first version": [fulcio(leaf(
        mail(MAIL), issuer_notes(ISSUER, version=1), life=SHORT))],
    "fulcio, both versions": [fulcio(leaf(
        mail(MAIL), issuer_notes(ISSUER, version=1), issuer_notes(ISSUER), life=SHORT))],
    "fulcio, contradicting itself": [fulcio(leaf(
        mail(MAIL), issuer_notes("https://x", version=1), issuer_notes(ISSUER), life=SHORT))],
    "fulcio, no issuer": [fulcio(leaf(mail(MAIL), life=SHORT))],
    "fulcio, other issuer": [fulcio(leaf(mail(MAIL), issuer_notes("https://x"), life=SHORT))],
    "fulcio, other mail": [fulcio(leaf(mail("b@example.com"), issuer_notes(ISSUER), life=SHORT))],
    "fulcio, capitals": [fulcio(leaf(mail("A@example.com"), issuer_notes(ISSUER), life=SHORT))],
    "fulcio, a host": [fulcio(leaf((HOST, True), issuer_notes(ISSUER), life=SHORT))],
    "fulcio, too late": [fulcio(at=NOW)],
    "fulcio, too early": [fulcio(at=NOW - timedelta(hours=9))],
    "fulcio, no chain": [fulcio(chain=None)],
    "fulcio, junk for a chain": [fulcio(chain=b"junk")],
    "fulcio, by a stranger": [fulcio(leaf(
        mail(MAIL), issuer_notes(ISSUER), by=STRANGER, life=SHORT), chain=STRANGER.pem)],
    "fulcio, for no code": [fulcio(certificate(
        "", LEAF_KEY, BETWEEN, [mail(MAIL), issuer_notes(ISSUER)], life=SHORT))],
    "fulcio, for servers": [fulcio(certificate("", LEAF_KEY, BETWEEN, [
        SERVERS, mail(MAIL), issuer_notes(ISSUER)], life=SHORT))],
    "fulcio, two mails": [fulcio(leaf((TWO, True), issuer_notes(ISSUER), life=SHORT))],
    "fulcio, of another key": [fulcio(key=OTHER)],
    "fulcio, not logged": [certified(SHORT_LIVED)],
    "fulcio, logged as a key": [LOG.logged(certified(SHORT_LIVED), public_pem(LEAF_KEY), THEN)],
    "own": [certified(OWN)],
    "own, bare": [certified(OWN, chain=None)],
    "own, root not sent": [certified(OWN, chain=BETWEEN.pem)],
    "own, expired": [certified(SHORT_LIVED)],
    "own, a host": [certified(leaf((HOST, True)))],
    "own, by a stranger": [certified(leaf(mail(MAIL), by=STRANGER), chain=STRANGER.pem)],
    "own, of another key": [certified(OWN, key=OTHER)],
    "own, two": [annotated(certified(OWN), {CERTIFICATE: (pem_of(OWN) * 2).decode()})],
}  # fmt: skip
FULCIO = {"caPath": "FILE/root", "oidcIssuer": ISSUER, "subjectEmail": MAIL}
PKI = {"caRootsPath": "FILE/root"}
REQUIREMENTS: dict[str, dict[str, Any]] = {
    "a key": {"keyPath": "FILE/p256"},
    "any key": {"keyPaths": [f"FILE/{name}" for name in ("other", *KEYS)]},
    "keys inside": {
        "keyDatas": [base64.b64encode(FILES[name]).decode() for name in ("rsa", "p256")]
    },
    "a key, the repository": {
        "keyPath": "FILE/p256",
        "signedIdentity": {"type": "exactRepository", "dockerRepository": "example.com/ns/repo"},
    },
    "a key that is none": {"keyPath": "FILE/junk"},
    "a certificate for a key": {"keyPath": "FILE/root"},
    "a key too few": {"keyPaths": ["FILE/p256", "FILE/gone"]},
    "a key and the log": {"keyPath": "FILE/p256", "rekorPublicKeyPath": "FILE/log"},
    "any key and log": {"keyPaths": ["FILE/rsa", "FILE/p256"],
                        "rekorPublicKeyPaths": ["FILE/other", "FILE/log"]},
    "a log that cannot be": {"keyPath": "FILE/p256", "rekorPublicKeyPath": "FILE/rsa"},
    "fulcio": {"fulcio": FULCIO, "rekorPublicKeyPath": "FILE/log"},
    "fulcio between": {"fulcio": FULCIO | {"caPath": "FILE/between"},
                       "rekorPublicKeyPath": "FILE/log"},
    "fulcio, another log": {"fulcio": FULCIO, "rekorPublicKeyPath": "FILE/other"},
    "pki, mail": {"pki": PKI | {"subjectEmail": MAIL}},
    "pki, host": {"pki": PKI | {"subjectHostname": "host.example.com"}},
    "pki, both": {"pki": PKI | {"subjectEmail": MAIL, "subjectHostname": "host.example.com"}},
    "pki, between": {"pki": PKI | {"caIntermediatesPath": "FILE/between", "subjectEmail": MAIL}},
}  # fmt: skip
ACCEPT_NOTHING = {"a key that is none", "a certificate for a key", "a key too few",
                  "a log that cannot be", "fulcio, another log", "pki, both"}  # fmt: skip


@pytest.fixture(scope="module")
def program() -> tuple[str, ...]:
    return newer_skopeo()


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("keys")
    for name, content in FILES.items():
        (directory / name).write_bytes(content)
    return directory


@pytest.mark.parametrize("name", REQUIREMENTS)
def test_skopeo_agrees(name: str, keys: Path, program: tuple[str, ...], tmp_path: Path) -> None:
    identity = {"signedIdentity": {"type": "exactReference", "dockerReference": NAME}}
    requirement = {"type": "sigstoreSigned"} | identity | REQUIREMENTS[name]
    policy = tmp_path / "policy.json"
    policy.write_text(json.dumps({"default": [requirement]}).replace("FILE", str(keys)))

    def judged(case: str) -> tuple[str, str]:
        image = signed(tmp_path / case, [frame(one) for one in ATTACHMENTS[case]])
        copy = tmp_path / f"{case}.copy"
        return skopeo(policy, image, copy, program), ours(policy, image)

    with ThreadPoolExecutor(4) as pool:
        outcomes = dict(zip(ATTACHMENTS, pool.map(judged, ATTACHMENTS), strict=True))
    assert {case: both for case, both in outcomes.items() if both[0] != both[1]} == {}
    # Where nothing is accepted, agreement would say little.
    assert ("accepted" in {us for _, us in outcomes.values()}) is (name not in ACCEPT_NOTHING)
