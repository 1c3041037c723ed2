# SPDX-License-Identifier: LGPL-2.1-or-later
"""sigstoreSigned: keys, the log, Fulcio and one's own authority; what each of them rejects."""

import base64
import json
from datetime import datetime, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from atomic_sys.model.digest import Digest
from atomic_sys.model.reference import DockerReference
from atomic_sys.trust.framing import SignatureBlob, SigstoreAttachment, SimpleSignature
from atomic_sys.trust.judge import ImageUnderJudgement, judge
from atomic_sys.trust.policy import parse
from atomic_sys.trust.public_key import MIN_RSA
from atomic_sys.trust.scopes import docker_identity, select
from atomic_sys.trust.sigstore import BUNDLE, CERTIFICATE, CHAIN, SIGNATURE
from atomic_sys.trust.verdict import Cause, RequirementVerdict
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

DIGEST = Digest.of(b"manifest")
NAME = "example.com/ns/repo:1"
CONTENT = payload(DIGEST, NAME)
RSA = rsa.generate_private_key(65537, 2048)
KEYS: dict[str, Private] = {
    "p256": new_key(),
    "p384": ec.generate_private_key(ec.SECP384R1()),
    "ed25519": ed25519.Ed25519PrivateKey.generate(),
    "rsa": RSA,
}
OTHER = new_key()
LOG = Log(new_key())
LATER = NOW - timedelta(hours=3)  # when the short-lived certificate below was alive
ISSUER = "https://accounts.example.com"
FULCIO = authority("fulcio")
BETWEEN = authority("between", FULCIO)
LEAF_KEY = new_key()
LIFE = (LATER - timedelta(minutes=5), LATER + timedelta(minutes=5))
LEAF = certificate(
    "", LEAF_KEY, BETWEEN, [CODE_SIGNING, mail("a@example.com"), issuer_notes(ISSUER)], life=LIFE
)
OWN = certificate("own", LEAF_KEY, BETWEEN, [mail("a@example.com")])
DSA = dsa.generate_private_key(2048).public_key()
FILES = {
    **{f"/{name}": public_pem(key) for name, key in KEYS.items()},
    "/other": public_pem(OTHER),
    "/log": public_pem(LOG.key),
    "/fulcio": FULCIO.pem,
    "/between": BETWEEN.pem,
    "/small": public_pem(rsa.generate_private_key(65537, MIN_RSA // 2)),
    "/k1": public_pem(ec.generate_private_key(ec.SECP256K1())),
    "/dsa": DSA.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
    "/two": public_pem(OTHER) + public_pem(OTHER),
    "/junk": b"junk",
    "/broken": b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n",
    "/base64": b"-----BEGIN PUBLIC KEY-----\nAAA\n-----END PUBLIC KEY-----\n",
}


class NoVerifier:
    def keyring(self, keys: tuple[bytes, ...]) -> Any:
        raise AssertionError(keys)


def read_key(path: str) -> bytes:
    if path not in FILES:
        raise FileNotFoundError(2, "No such file or directory", path)
    return FILES[path]


def judged(requirement: dict[str, Any], *signatures: SignatureBlob) -> RequirementVerdict:
    document = {"default": [{"type": "sigstoreSigned"} | requirement]}
    image = ImageUnderJudgement(
        identity=docker_identity(DockerReference.parse(NAME)),
        manifest_digest=DIGEST,
        signatures=signatures,
    )
    selection = select(parse(json.dumps(document).encode(), "p"), image.identity)
    return judge(selection, image, read_key, NoVerifier()).requirements[0]


@pytest.mark.parametrize("name", KEYS)
def test_kinds_of_keys(name: str) -> None:
    good = attach(CONTENT, KEYS[name])
    verdict = judged({"keyPath": f"/{name}"}, good)
    assert verdict.accepted
    assert verdict.reason.startswith(f"signed by /{name} (sha256:")
    assert verdict.signatures[0].signer == verdict.keys[0].fingerprint
    assert not judged({"keyPath": "/other"}, good).accepted


def test_any_key_will_do() -> None:
    good, data = attach(CONTENT, KEYS["rsa"]), base64.b64encode(FILES["/rsa"]).decode()
    assert judged({"keyPaths": ["/other", "/rsa"]}, good).accepted
    assert judged({"keyData": data}, good).accepted
    other = base64.b64encode(FILES["/other"]).decode()
    assert judged({"keyDatas": [other, data]}, good).accepted
    assert judged({"keyPath": "/other"}, good, attach(CONTENT, OTHER)).accepted


@pytest.mark.parametrize(
    ("requirement", "reason"),
    [
        ({"keyPath": "/gone"}, "cannot read the key file /gone"),
        ({"keyPaths": ["/rsa", "/gone"]}, "cannot read the key file /gone"),
        ({"keyPath": "/junk"}, "/junk is not in PEM format"),
        ({"keyPath": "/broken"}, "/broken is not a valid public key"),
        ({"keyPath": "/base64"}, "a PEM block is not base64"),
        ({"keyPath": "/two"}, "/two has 2 PEM blocks"),
        ({"keyPath": "/fulcio"}, "is not a public key, but certificate"),
        ({"keyPath": "/small"}, "1024 bits"),
        ({"keyPath": "/k1"}, "secp256k1"),
        ({"keyPath": "/dsa"}, "neither an RSA"),
        ({"keyPath": "/rsa", "rekorPublicKeyPath": "/rsa"}, "must be an ECDSA key"),
        ({"keyPath": "/rsa", "rekorPublicKeyPath": "/gone"}, "cannot read"),
        ({"pki": {"caRootsPath": "/rsa", "subjectEmail": "a@x"}}, "something else than certif"),
        ({"pki": {"caRootsPath": "/junk", "subjectEmail": "a@x"}}, "not in PEM format"),
    ],
)  # fmt: skip
def test_unusable_keys(requirement: dict[str, Any], reason: str) -> None:
    verdict = judged(requirement, attach(CONTENT, RSA))
    assert verdict.cause is Cause.KEYS
    assert reason in verdict.reason


BY_RSA = {"keyPath": "/rsa"}


@pytest.mark.parametrize(
    ("attachment", "reason"),
    [
        (attach(CONTENT + b" ", RSA, payload=CONTENT), "not what any trusted key signed"),
        (attach(CONTENT, RSA, annotations={}), f"{SIGNATURE} is missing"),
        (attach(CONTENT, RSA, annotations={SIGNATURE: "a b"}), "not base64"),
        (attach(payload(Digest.of(b"x"), NAME), RSA), "signed is sha256:"),
        (attach(payload(DIGEST, "example.com/ns/repo"), RSA), "does not fit"),
        (attach(payload(DIGEST, NAME, more=1), RSA), "unknown key 'more'"),
        (attach(b"", RSA), "invalid JSON"),
        (attach(CONTENT, RSA, mime="application/vnd.dsse.envelope.v1+json"), "1 of another kind"),
        (SimpleSignature(source="s", message=b"\xa3"), "1 of another kind"),
    ],
)
def test_rejected(attachment: SignatureBlob, reason: str) -> None:
    verdict = judged(BY_RSA, attachment)
    assert not verdict.accepted
    assert reason in verdict.reason


def test_simple_payload_is_no_sigstore_payload() -> None:
    content = CONTENT.replace(b"cosign container image", b"atomic container")
    assert "type is not" in judged(BY_RSA, attach(content, RSA)).reason


def test_logged() -> None:
    requirement = {"keyPaths": ["/other", "/rsa"], "rekorPublicKeyPaths": ["/other", "/log"]}
    bare = attach(CONTENT, RSA)
    assert judged(requirement, LOG.logged(bare, FILES["/rsa"])).accepted
    assert f"{BUNDLE} is missing" in judged(requirement, bare).reason
    stranger = Log(new_key()).logged(bare, FILES["/rsa"])
    assert "not signed by a trusted log" in judged(requirement, stranger).reason
    # The log knows the signature as somebody else's, and of no other key is it looked at.
    elsewhere = LOG.logged(bare, FILES["/p256"])
    assert "another key" in judged(requirement, elsewhere).reason
    stolen = annotated(attach(CONTENT, OTHER), {BUNDLE: LOG.bundle(bare, FILES["/rsa"])})
    assert "another signature" in judged(requirement, stolen).reason


FULCIO_TRUST = {"caPath": "/fulcio", "oidcIssuer": ISSUER, "subjectEmail": "a@example.com"}
BY_FULCIO = {"fulcio": FULCIO_TRUST, "rekorPublicKeyPath": "/log"}


def fulcio_signed(
    leaf: Any = LEAF, at: datetime = LATER, chain: bytes = BETWEEN.pem + FULCIO.pem
) -> SigstoreAttachment:
    given = annotated(
        attach(CONTENT, LEAF_KEY), {CERTIFICATE: pem_of(leaf).decode(), CHAIN: chain.decode()}
    )
    return LOG.logged(given, pem_of(leaf), at)


def test_fulcio() -> None:
    verdict = judged(BY_FULCIO, fulcio_signed())
    assert verdict.accepted, verdict.reason
    assert verdict.signatures[0].user == "a@example.com"
    assert str(verdict.keys[0]).startswith("a@example.com (sha256:")


@pytest.mark.parametrize(
    ("changed", "attachment", "reason"),
    [
        ({}, fulcio_signed(at=NOW), "has expired by"),
        ({}, fulcio_signed(at=NOW - timedelta(hours=9)), "is not valid yet"),
        ({}, fulcio_signed(chain=b""), "leads to no trusted root"),
        ({}, fulcio_signed(chain=b"junk"), "chain of certificates is not in PEM"),
        ({"caPath": "/between"}, fulcio_signed(chain=b""), ""),
        ({"oidcIssuer": "https://x"}, fulcio_signed(), f"OIDC issuer is {ISSUER}, not https://x"),
        ({"subjectEmail": "b@x"}, fulcio_signed(), "is for a@example.com, not for b@x"),
        ({}, attach(CONTENT, LEAF_KEY), f"{CERTIFICATE} is missing"),
        ({}, annotated(fulcio_signed(), {CERTIFICATE: (pem_of(LEAF) * 2).decode()}),
         "2 certificates of the signer"),
        ({}, annotated(fulcio_signed(), {CERTIFICATE: pem_of(OWN).decode()}),
         "another key or certificate"),
        ({}, annotated(fulcio_signed(), {SIGNATURE: attach(b"x", LEAF_KEY).annotations[SIGNATURE]}),
         "another signature"),
        ({}, LOG.logged(annotated(attach(CONTENT, OTHER), {CERTIFICATE: pem_of(LEAF).decode()}),
                        pem_of(LEAF), LATER), "leads to no trusted root"),
        ({"caPath": "/between"},
         LOG.logged(annotated(attach(CONTENT, OTHER), {CERTIFICATE: pem_of(LEAF).decode()}),
                    pem_of(LEAF), LATER), "not what any trusted key signed"),
    ],
)  # fmt: skip
def test_fulcio_rejects(
    changed: dict[str, str], attachment: SigstoreAttachment, reason: str
) -> None:
    requirement = {"fulcio": FULCIO_TRUST | changed, "rekorPublicKeyPath": "/log"}
    verdict = judged(requirement, attachment)
    assert verdict.accepted is (not reason)
    assert reason in verdict.reason


def test_time_out_of_range() -> None:
    given = annotated(attach(CONTENT, LEAF_KEY), {CERTIFICATE: pem_of(LEAF).decode()})
    signature = base64.b64decode(given.annotations[SIGNATURE])
    body = LOG.entry(CONTENT, signature, pem_of(LEAF))
    late = annotated(given, {BUNDLE: LOG.promise(body, integratedTime=1 << 52)})
    assert "time in the log is out of range" in judged(BY_FULCIO, late).reason


def pki(**more: str) -> dict[str, Any]:
    return {"pki": {"caRootsPath": "/fulcio", "subjectEmail": "a@example.com"} | more}


def test_own_authority() -> None:
    bare = annotated(attach(CONTENT, LEAF_KEY), {CERTIFICATE: pem_of(OWN).decode()})
    chained = annotated(bare, {CHAIN: (BETWEEN.pem + FULCIO.pem).decode()})
    assert judged(pki(), chained).accepted
    assert judged(pki(caIntermediatesPath="/between"), bare).accepted
    assert "no trusted root" in judged(pki(), bare).reason
    # The last one of a chain is the root, and no root is believed that came with the image.
    assert "no trusted root" in judged(pki(), annotated(bare, {CHAIN: BETWEEN.pem.decode()})).reason
    assert "not for b@x" in judged(pki(subjectEmail="b@x"), chained).reason
    both = judged(pki(subjectHostname="host.example"), chained)
    assert "not for host.example" in both.reason
    only_host = {"pki": {"caRootsPath": "/fulcio", "subjectHostname": "host.example"}}
    assert "not for host.example" in judged(only_host, chained).reason
    expired = annotated(chained, {CERTIFICATE: pem_of(LEAF).decode()})
    assert "has expired" in judged(pki(), expired).reason
