# SPDX-License-Identifier: LGPL-2.1-or-later
"""A whole sigstore in memory: signers with keys, an authority like Fulcio, a log like Rekor."""

import base64
import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from atomic_sys.model.digest import Digest
from atomic_sys.trust.framing import SigstoreAttachment
from atomic_sys.trust.sigstore import BUNDLE, MIME, SIGNATURE

Private = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey
NOW = datetime.now(UTC).replace(microsecond=0)


def new_key() -> ec.EllipticCurvePrivateKey:
    """A key as cosign makes them."""
    return ec.generate_private_key(ec.SECP256R1())


def public_pem(key: Private) -> bytes:
    """Its public half, as a policy wants it."""
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def sign(key: Private, content: bytes) -> bytes:
    """The signature that cosign would make."""
    match key:
        case ed25519.Ed25519PrivateKey():
            return key.sign(content)
        case rsa.RSAPrivateKey():
            return key.sign(content, padding.PKCS1v15(), hashes.SHA256())
        case _:
            return key.sign(content, ec.ECDSA(hashes.SHA256()))


def payload(digest: Digest, name: str, **more: Any) -> bytes:
    """What cosign signs."""
    critical = {
        "type": "cosign container image signature",
        "image": {"docker-manifest-digest": str(digest)},
        "identity": {"docker-reference": name},
    }
    return json.dumps({"critical": critical, "optional": None} | more).encode()


def attach(content: bytes, key: Private, **changed: Any) -> SigstoreAttachment:
    """An attachment; `changed` are other values for its fields."""
    signature = base64.b64encode(sign(key, content)).decode()
    fields: dict[str, Any] = {
        "source": "attachment",
        "mime": MIME,
        "payload": content,
        "annotations": {SIGNATURE: signature},
    }
    return SigstoreAttachment(**(fields | changed))


@dataclass(frozen=True)
class Log:
    """A transparency log; what it promises can be bent."""

    key: Private

    def entry(
        self, content: bytes, signature: bytes, key_pem: bytes, **changed: Any
    ) -> dict[str, Any]:
        """The body of an entry."""
        spec = {
            "data": {"hash": {"algorithm": "sha256", "value": hashlib.sha256(content).hexdigest()}},
            "signature": {
                "content": base64.b64encode(signature).decode(),
                "publicKey": {"content": base64.b64encode(key_pem).decode()},
            },
        }
        return {"apiVersion": "0.0.1", "kind": "hashedrekord", "spec": spec | changed}

    def promise(self, body: object, at: datetime = NOW, **changed: Any) -> str:
        """The bundle for an entry."""
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        entry = {
            "body": base64.b64encode(raw).decode(),
            "integratedTime": int(at.timestamp()),
            "logIndex": 7,
            "logID": "c0d2",
        } | changed
        canonical = json.dumps(entry, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        promise = base64.b64encode(sign(self.key, canonical.encode())).decode()
        return json.dumps({"SignedEntryTimestamp": promise, "Payload": entry})

    def bundle(self, attachment: SigstoreAttachment, key_pem: bytes, at: datetime = NOW) -> str:
        """The honest bundle for an attachment."""
        signature = base64.b64decode(attachment.annotations[SIGNATURE])
        return self.promise(self.entry(attachment.payload, signature, key_pem), at)

    def logged(
        self, attachment: SigstoreAttachment, key_pem: bytes, at: datetime = NOW
    ) -> SigstoreAttachment:
        """The attachment with its honest bundle."""
        return annotated(attachment, {BUNDLE: self.bundle(attachment, key_pem, at)})


def annotated(attachment: SigstoreAttachment, more: dict[str, str]) -> SigstoreAttachment:
    """The same attachment with more annotations."""
    return SigstoreAttachment(
        source=attachment.source,
        mime=attachment.mime,
        payload=attachment.payload,
        annotations=dict(attachment.annotations) | more,
    )


@dataclass(frozen=True, kw_only=True)
class Authority:
    """Who issues certificates."""

    certificate: x509.Certificate
    key: Private

    @property
    def pem(self) -> bytes:
        """Its certificate."""
        return self.certificate.public_bytes(Encoding.PEM)


Extension = tuple[x509.ExtensionType, bool]
CODE_SIGNING: Extension = (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING]), False)


def mail(address: str) -> Extension:
    """The subject of a person."""
    return x509.SubjectAlternativeName([x509.RFC822Name(address)]), True


def constraints(*, ca: bool = True, length: int | None = None) -> Extension:
    """Whether it is an authority."""
    return x509.BasicConstraints(ca=ca, path_length=length), True


def issuer_notes(issuer: str, *, version: int = 2) -> Extension:
    """What Fulcio notes of whoever vouched for the subject."""
    text = issuer.encode()
    size = bytes([len(text)]) if len(text) < 128 else bytes([0x81, len(text)])
    oid, value = (
        ("1.3.6.1.4.1.57264.1.1", text)
        if version == 1
        else ("1.3.6.1.4.1.57264.1.8", b"\x0c" + size + text)
    )
    return x509.UnrecognizedExtension(x509.ObjectIdentifier(oid), value), False


def certificate(
    subject: str,
    key: Private,
    issuer: Authority | None = None,
    extensions: Iterable[Extension] = (),
    *,
    life: tuple[datetime, datetime] = (NOW - timedelta(days=1), NOW + timedelta(days=1)),
    digest: hashes.HashAlgorithm | None = None,
) -> x509.Certificate:
    """A certificate; without an issuer it signs itself."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)])
    builder = (
        x509
        .CertificateBuilder()
        .subject_name(name)
        .issuer_name(issuer.certificate.subject if issuer else name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(life[0].replace(tzinfo=None))
        .not_valid_after(life[1].replace(tzinfo=None))
    )
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical=critical)
    signer = issuer.key if issuer else key
    hashed = None if isinstance(signer, ed25519.Ed25519PrivateKey) else digest or hashes.SHA256()
    return builder.sign(signer, hashed)


def authority(
    subject: str,
    issuer: Authority | None = None,
    extensions: Iterable[Extension] = (constraints(),),
    **more: Any,
) -> Authority:
    """An authority, by itself or below another one."""
    key = more.pop("key", None) or new_key()
    made = certificate(subject, key, issuer, extensions, **more)
    return Authority(certificate=made, key=key)


def pem_of(made: x509.Certificate) -> bytes:
    """The certificate in PEM."""
    return made.public_bytes(Encoding.PEM)
