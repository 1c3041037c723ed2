# SPDX-License-Identifier: LGPL-2.1-or-later
"""Public keys outside OpenPGP, and whether one of them made a signature.

RSA (PKCS #1 v1.5), ECDSA on the curves of NIST, both with SHA-256, and Ed25519: what cosign signs
with. `cryptography` is imported here where a key is first loaded, since few policies need it.
"""

import hashlib
from typing import TYPE_CHECKING, TypeAlias

from atomic_sys.errors import AtomicSysError
from atomic_sys.frozen import frozen
from atomic_sys.trust import pem

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
    from cryptography.hazmat.primitives.hashes import HashAlgorithm

    Loaded: TypeAlias = RSAPublicKey | EllipticCurvePublicKey | Ed25519PublicKey

_CURVES = ("secp256r1", "secp384r1", "secp521r1")
MIN_RSA = 2048  # bits; smaller ones have been factored, or soon will be


class UnusableKey(AtomicSysError):
    """A public key of no supported kind, or no public key at all."""


@frozen
class PublicKey:
    """One public key; `der` is its SubjectPublicKeyInfo, `name` where it was read."""

    name: str
    der: bytes
    loaded: "Loaded"

    @property
    def fingerprint(self) -> str:
        """`sha256:HEX` of its DER encoding."""
        return f"sha256:{hashlib.sha256(self.der).hexdigest()}"

    @property
    def is_ecdsa(self) -> bool:
        """Whether it is a key for ECDSA."""
        from cryptography.hazmat.primitives.asymmetric import ec

        return isinstance(self.loaded, ec.EllipticCurvePublicKey)

    def made(self, signature: bytes, content: bytes) -> bool:
        """Whether the key's owner signed this content as cosign does."""
        from cryptography.hazmat.primitives import hashes

        return verifies(self.loaded, signature, content, hashes.SHA256())


def load_pem(document: bytes, name: str) -> PublicKey:
    """The one key of a PEM document. Raises UnusableKey."""
    from cryptography.hazmat.primitives.serialization import load_der_public_key

    try:
        found = pem.block(document, name)
    except pem.InvalidPem as error:
        raise UnusableKey(str(error)) from None
    if found.label not in ("PUBLIC KEY", "RSA PUBLIC KEY"):
        raise UnusableKey(f"{name} is not a public key, but {found.label.lower()}")
    # OpenSSL's errors (UnsupportedAlgorithm is an Exception only) must not get through as others.
    from cryptography.exceptions import UnsupportedAlgorithm

    try:
        key = load_der_public_key(found.content)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise UnusableKey(f"{name} is not a valid public key") from None
    return wrap(key, name)


def wrap(key: object, name: str) -> PublicKey:
    """A key of the library, if it is of a supported kind. Raises UnusableKey."""
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    match key:
        case rsa.RSAPublicKey() if key.key_size < MIN_RSA:
            raise UnusableKey(f"{name} is an RSA key of {key.key_size} bits, less than {MIN_RSA}")
        case ec.EllipticCurvePublicKey() if key.curve.name not in _CURVES:
            raise UnusableKey(f"{name} is on the curve {key.curve.name}, which is not supported")
        case rsa.RSAPublicKey() | ec.EllipticCurvePublicKey() | ed25519.Ed25519PublicKey():
            der = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
            return PublicKey(name=name, der=der, loaded=key)
        case _:
            raise UnusableKey(f"{name} is neither an RSA, an ECDSA nor an Ed25519 key")


def verifies(
    key: "Loaded", signature: bytes, content: bytes, digest: "HashAlgorithm | None"
) -> bool:
    """Whether the signature of the content is good; only Ed25519 brings a hash of its own."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding

    try:
        match key:
            case ed25519.Ed25519PublicKey():
                key.verify(signature, content)
            case _ if digest is None:
                return False
            case ec.EllipticCurvePublicKey():
                key.verify(signature, content, ec.ECDSA(digest))
            case _:
                key.verify(signature, content, padding.PKCS1v15(), digest)
    except InvalidSignature:
        return False
    return True
