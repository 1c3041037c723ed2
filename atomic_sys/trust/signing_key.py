# SPDX-License-Identifier: LGPL-2.1-or-later
"""Private keys as cosign keeps them: PKCS #8 behind a passphrase, by scrypt and NaCl's secretbox.

Source: go-securesystemslib's `encrypted` package, whose JSON is the content of the PEM block.
"""

import base64
import hashlib
import json
import os
from typing import TYPE_CHECKING

from atomic_sys.errors import AtomicSysError
from atomic_sys.frozen import frozen
from atomic_sys.model.strict_json import InvalidJson, loads
from atomic_sys.trust import pem
from atomic_sys.trust.fields import Fields, base64_bytes
from atomic_sys.trust.framing import SigstoreAttachment
from atomic_sys.trust.public_key import PublicKey, UnusableKey, wrap
from atomic_sys.trust.sigstore import MIME, SIGNATURE

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

PRIVATE_LABEL = "ENCRYPTED SIGSTORE PRIVATE KEY"
_FORMER_LABEL = "ENCRYPTED COSIGN PRIVATE KEY"
_COSTS = (32768, 65536, 131072)  # scrypt's N of its releases; r is 8 and p is 1 in all of them
_BLOCK_SIZE = 8
_MEMORY = 256 << 20  # bytes, twice what the largest N takes
_KEY_SIZE = 32
_SALT_SIZE = 32


class UnusablePrivateKey(AtomicSysError):
    """A private key that cannot be read, or a passphrase that does not open it."""


@frozen
class KeyPair:
    """Two PEM documents that belong together."""

    private: bytes
    public: bytes


@frozen
class SigstoreSigner:
    """A private key, ready to sign."""

    key: "EllipticCurvePrivateKey | RSAPrivateKey | Ed25519PrivateKey"
    public: PublicKey

    def sign(self, payload: bytes) -> SigstoreAttachment:
        """The attachment with the signature of this payload. Raises AtomicSysError."""
        signature = self._signature(payload)
        if not self.public.made(signature, payload):
            raise AtomicSysError(f"{self.public.name} made a signature that it does not verify")
        return SigstoreAttachment(
            source=self.public.name,
            mime=MIME,
            payload=payload,
            annotations={SIGNATURE: base64.b64encode(signature).decode("ascii")},
        )

    def _signature(self, payload: bytes) -> bytes:
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding

        match self.key:
            case ed25519.Ed25519PrivateKey():
                return self.key.sign(payload)
            case ec.EllipticCurvePrivateKey():
                return self.key.sign(payload, ec.ECDSA(hashes.SHA256()))
            case _:
                return self.key.sign(payload, padding.PKCS1v15(), hashes.SHA256())


def generate(passphrase: bytes) -> KeyPair:
    """A new key pair as cosign makes them: ECDSA on P-256."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    private = key.private_bytes(
        serialization.Encoding.DER,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    public = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return KeyPair(private=_encrypt(private, passphrase), public=public)


def load(document: bytes, passphrase: bytes, name: str) -> SigstoreSigner:
    """The key of a PEM document, of this or of the former label. Raises UnusablePrivateKey."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
    from cryptography.hazmat.primitives.serialization import load_der_private_key

    try:
        found = pem.block(document, name)
        if found.label not in (PRIVATE_LABEL, _FORMER_LABEL):
            raise UnusablePrivateKey(f"{name} is not an encrypted private key of sigstore")
        der = _decrypt(found.content, passphrase, name)
        key = load_der_private_key(der, None)
        if isinstance(
            key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey
        ):
            return SigstoreSigner(key=key, public=wrap(key.public_key(), name))
    except (pem.InvalidPem, InvalidJson, UnusableKey) as error:
        raise UnusablePrivateKey(str(error)) from None
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise UnusablePrivateKey(f"{name} holds no valid private key") from None
    raise UnusablePrivateKey(f"{name} is neither an RSA, an ECDSA nor an Ed25519 key")


def _encrypt(content: bytes, passphrase: bytes) -> bytes:
    from nacl.secret import SecretBox

    salt, nonce = os.urandom(_SALT_SIZE), os.urandom(SecretBox.NONCE_SIZE)
    box = SecretBox(_derive(passphrase, salt, _COSTS[0]))
    document = {
        "kdf": {
            "name": "scrypt",
            "params": {"N": _COSTS[0], "r": _BLOCK_SIZE, "p": 1},
            "salt": _text(salt),
        },
        "cipher": {"name": "nacl/secretbox", "nonce": _text(nonce)},
        "ciphertext": _text(box.encrypt(content, nonce).ciphertext),
    }
    return pem.encode(PRIVATE_LABEL, json.dumps(document).encode())


def _decrypt(document: bytes, passphrase: bytes, name: str) -> bytes:
    from nacl.exceptions import CryptoError
    from nacl.secret import SecretBox

    top = Fields.of(loads(document, name), f"{name}: $", required=("kdf", "cipher", "ciphertext"))
    kdf = Fields.of(top.values["kdf"], top.at("kdf"), required=("name", "params", "salt"))
    cipher = Fields.of(top.values["cipher"], top.at("cipher"), required=("name", "nonce"))
    params = Fields.of(kdf.values["params"], kdf.at("params"), required=("N", "r", "p"))
    names = kdf.text("name"), cipher.text("name")
    # Other costs would let a file take all memory.
    cost, block, parallel = (params.values[key] for key in ("N", "r", "p"))
    if names != ("scrypt", "nacl/secretbox") or (block, parallel) != (_BLOCK_SIZE, 1):
        raise InvalidJson(f"{name} is encrypted in an unknown way")
    if not isinstance(cost, int) or cost not in _COSTS:
        raise InvalidJson(f"{name} is encrypted in an unknown way")
    salt = base64_bytes(kdf.values["salt"], kdf.at("salt"))
    nonce = base64_bytes(cipher.values["nonce"], cipher.at("nonce"))
    sealed = base64_bytes(top.values["ciphertext"], top.at("ciphertext"))
    if len(nonce) != SecretBox.NONCE_SIZE:
        raise InvalidJson(f"{cipher.at('nonce')} is not of {SecretBox.NONCE_SIZE} bytes")
    try:
        return SecretBox(_derive(passphrase, salt, cost)).decrypt(sealed, nonce)
    except CryptoError:
        raise UnusablePrivateKey(
            f"the passphrase does not open {name}", hint="give it by --sign-passphrase-file FILE"
        ) from None


def _derive(passphrase: bytes, salt: bytes, cost: int) -> bytes:
    return hashlib.scrypt(
        passphrase,
        salt=salt,
        n=cost,
        r=_BLOCK_SIZE,
        p=1,
        maxmem=_MEMORY,
        dklen=_KEY_SIZE,
    )


def _text(octets: bytes) -> str:
    return base64.b64encode(octets).decode("ascii")
