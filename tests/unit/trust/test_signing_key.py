# SPDX-License-Identifier: LGPL-2.1-or-later
"""Private keys as cosign keeps them: made, opened, and refused."""

import base64
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import dsa, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_public_key,
)

from atomic_sys.errors import AtomicSysError
from atomic_sys.trust import pem, signing_key
from atomic_sys.trust.public_key import load_pem
from atomic_sys.trust.signing_key import (
    PRIVATE_LABEL,
    SigstoreSigner,
    UnusablePrivateKey,
    generate,
    load,
)
from atomic_sys.trust.sigstore import SIGNATURE

PAIR = generate(b"secret")


def sealed(content: bytes) -> bytes:
    return signing_key._encrypt(content, b"secret")


def test_pair() -> None:
    signer = load(PAIR.private, b"secret", "k")
    attachment = signer.sign(b"payload")
    signature = base64.b64decode(attachment.annotations[SIGNATURE])
    assert load_pem(PAIR.public, "p").made(signature, b"payload")
    assert not load_pem(PAIR.public, "p").made(signature, b"payload2")
    assert PAIR.private != generate(b"secret").private
    assert load_pem_public_key(PAIR.public)
    assert b"PRIVATE" not in PAIR.public


@pytest.mark.parametrize(
    "key", [ed25519.Ed25519PrivateKey.generate(), rsa.generate_private_key(65537, 2048)]
)
def test_other_keys(key: Any) -> None:
    der = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    signer = load(sealed(der), b"secret", "k")
    attachment = signer.sign(b"payload")
    assert signer.public.made(base64.b64decode(attachment.annotations[SIGNATURE]), b"payload")


def test_former_label_and_other_costs(monkeypatch: pytest.MonkeyPatch) -> None:
    content = pem.block(PAIR.private, "k").content
    assert load(pem.encode("ENCRYPTED COSIGN PRIVATE KEY", content), b"secret", "k")
    monkeypatch.setattr(signing_key, "_COSTS", (65536, 32768))
    stronger = generate(b"secret").private
    assert load(stronger, b"secret", "k")


DOCUMENT = json.loads(pem.block(PAIR.private, "k").content)
DSA = dsa.generate_private_key(2048)


def changed(**fields: Any) -> bytes:
    return pem.encode(PRIVATE_LABEL, json.dumps(DOCUMENT | fields).encode())


def params(**values: Any) -> bytes:
    kdf = DOCUMENT["kdf"]
    return changed(kdf=kdf | {"params": kdf["params"] | values})


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        (b"", "0 PEM blocks"),
        (b"junk", "not in PEM"),
        (PAIR.public, "is not an encrypted private key"),
        (pem.encode(PRIVATE_LABEL, b"junk"), "invalid JSON"),
        (changed(more=1), "unknown key"),
        (changed(kdf=DOCUMENT["kdf"] | {"name": "pbkdf2"}), "unknown way"),
        (changed(cipher=DOCUMENT["cipher"] | {"name": "aes"}), "unknown way"),
        (params(N=1 << 30), "unknown way"),
        (params(N="x"), "unknown way"),
        (params(r=9), "unknown way"),
        (params(p=2), "unknown way"),
        (changed(cipher=DOCUMENT["cipher"] | {"nonce": "AAAA"}), "is not of 24 bytes"),
        (changed(ciphertext="AAAA"), "the passphrase does not open k"),
        (sealed(b"junk"), "holds no valid private key"),
        (sealed(DSA.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())),
         "neither an RSA"),
    ],
)  # fmt: skip
def test_refused(document: bytes, reason: str) -> None:
    with pytest.raises(UnusablePrivateKey, match=reason):
        load(document, b"secret", "k")


def test_a_signature_that_does_not_verify_is_not_given_away() -> None:
    signer = load(PAIR.private, b"secret", "k")
    other = load(generate(b"").private, b"", "other")
    mixed = SigstoreSigner(key=signer.key, public=other.public)
    with pytest.raises(AtomicSysError, match="does not verify"):
        mixed.sign(b"payload")


def test_wrong_passphrase() -> None:
    with pytest.raises(UnusablePrivateKey, match="does not open"):
        load(PAIR.private, b"", "k")
