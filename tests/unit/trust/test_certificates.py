# SPDX-License-Identifier: LGPL-2.1-or-later
"""Chains of certificates, honest and crafted, and whom a certificate is for."""

from collections.abc import Callable
from datetime import timedelta
from typing import cast

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID

from atomic_sys.trust import certificates, pem
from atomic_sys.trust.certificates import Certificate, NotTrusted, verify_chain
from atomic_sys.trust.public_key import MIN_RSA
from tests.support.sigstore import (
    CODE_SIGNING,
    NOW,
    Authority,
    Extension,
    authority,
    certificate,
    constraints,
    mail,
    new_key,
    pem_of,
)

ROOT = authority("root")
KEY = new_key()
SERVER: Extension = (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), False)
ANY: Extension = (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE]), False)
PAST = (NOW - timedelta(days=9), NOW - timedelta(days=1))


def key_usage(*, certificates: bool) -> Extension:
    return x509.KeyUsage(
        digital_signature=True, content_commitment=False, key_encipherment=False,
        data_encipherment=False, key_agreement=False, key_cert_sign=certificates,
        crl_sign=False, encipher_only=False, decipher_only=False,
    ), True  # fmt: skip


def unknown(*, critical: bool) -> Extension:
    return x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00"), critical


NAME_CONSTRAINTS: Extension = (
    x509.NameConstraints(permitted_subtrees=[x509.DNSName("example.com")], excluded_subtrees=None),
    False,
)


def load(*made: x509.Certificate) -> tuple[Certificate, ...]:
    return certificates.load(b"".join(map(pem_of, made)), "test")


def verify(leaf: x509.Certificate, *between: Authority, root: Authority = ROOT) -> None:
    (loaded,) = load(leaf)
    middle = load(*(one.certificate for one in between)) if between else ()
    verify_chain(loaded, middle, load(root.certificate), NOW)


def issued(by: Authority = ROOT, *extensions: Extension) -> x509.Certificate:
    return certificate("leaf", KEY, by, extensions or (CODE_SIGNING,))


def chain_of(length: int) -> list[Authority]:
    chain = [ROOT]
    for number in range(length):
        chain.append(authority(f"a{number}", chain[-1]))
    return chain[1:]


def test_good_chains() -> None:
    verify(issued())
    verify(issued(ROOT, ANY, unknown(critical=False)))
    verify(issued(ROOT, mail("a@x")))  # no usage stated: any
    for length in (1, 3, 7):
        chain = chain_of(length)
        verify(issued(chain[-1]), *reversed(chain))
    limited = authority("l", ROOT, [constraints(length=0), key_usage(certificates=True)])
    verify(issued(limited), limited)
    own = issued()
    verify_chain(load(own)[0], (), load(own), NOW)


def test_other_algorithms() -> None:
    for key in (ed25519.Ed25519PrivateKey.generate(), rsa.generate_private_key(65537, 2048)):
        root = authority("root", key=key)
        verify(issued(root), root=root)


WEAK = rsa.generate_private_key(65537, 2048)
CRAFTED: dict[str, tuple[Callable[[], None], str]] = {
    "stranger": (lambda: verify(issued(authority("root"))), "leads to no trusted root$"),
    "expired leaf": (
        lambda: verify(certificate("leaf", KEY, ROOT, [CODE_SIGNING], life=PAST)), "has expired",
    ),
    "expired authority": (
        lambda: (lambda a: verify(issued(a), a))(authority("a", ROOT, life=PAST)),
        "no trusted root: the certificate CN=a has expired",
    ),
    "expired root": (
        lambda: (lambda r: verify(issued(r), root=r))(authority("root", life=PAST)),
        "CN=root has expired",
    ),
    "for servers": (lambda: verify(issued(ROOT, SERVER)), "not for signing code"),
    "authority for servers": (
        lambda: (lambda a: verify(issued(a), a))(authority("a", ROOT, [constraints(), SERVER])),
        "CN=a is not for signing code",
    ),
    "no authority": (
        lambda: (lambda a: verify(issued(a), a))(authority("a", ROOT, [])),
        "not the certificate of an authority",
    ),
    "denied authority": (
        lambda: (lambda a: verify(issued(a), a))(authority("a", ROOT, [constraints(ca=False)])),
        "not the certificate of an authority",
    ),
    "may not sign": (
        lambda: (lambda a: verify(issued(a), a))(
            authority("a", ROOT, [constraints(), key_usage(certificates=False)])
        ),
        "may not sign certificates",
    ),
    "too many below": (
        lambda: (lambda r: (lambda a: verify(issued(a), a, root=r))(authority("a", r)))(
            authority("r", None, [constraints(length=0)])
        ),
        "may not have 1 authorities below it",
    ),
    "too deep": (
        lambda: (lambda c: verify(issued(c[-1]), *c))(chain_of(8)), "leads to no trusted root",
    ),
    "unknown critical": (
        lambda: verify(issued(ROOT, CODE_SIGNING, unknown(critical=True))), "critical extension",
    ),
    "name constraints": (
        lambda: (lambda a: verify(issued(a), a))(
            authority("a", ROOT, [constraints(), NAME_CONSTRAINTS])
        ),
        "has name constraints: not supported",
    ),
    "weak hash": (
        lambda: (
            lambda r: verify(
                certificate("leaf", KEY, r, [CODE_SIGNING], digest=hashes.SHA224()), root=r
            )
        )(authority("root", key=WEAK)),
        "leads to no trusted root",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CRAFTED)
def test_crafted_chains(case: str) -> None:
    attempt, reason = CRAFTED[case]
    with pytest.raises(NotTrusted, match=reason):
        attempt()


def test_signature_of_another_kind_of_key() -> None:
    """A certificate signed with Ed25519 below an authority of the same name with another key."""
    false = authority("root", key=ed25519.Ed25519PrivateKey.generate())
    with pytest.raises(NotTrusted, match="leads to no trusted root"):
        verify(issued(false))


def test_library_without_the_dates() -> None:
    with pytest.raises(ValueError, match="not_valid_before"):
        certificates._moment(cast(x509.Certificate, object()), "not_valid_before")


def test_entangled_chain_ends_soon() -> None:
    """Authorities of one name and key that all issue one another: paths without number."""
    key = new_key()
    first = authority("same", None, key=key)
    knot = [authority("same", first, key=key) for _ in range(20)]
    with pytest.raises(NotTrusted, match="leads to no trusted root"):
        verify(issued(first), *knot)


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        (b"", "has 0 certificates"),
        (b"junk", "not in PEM"),
        (ROOT.pem * 33, "has 33 certificates"),
        (pem.encode("CERTIFICATE", b"junk"), "cannot be read"),
        (pem.encode("PUBLIC KEY", b""), "something else than certificates: public key"),
        (pem_of(certificate("x", rsa.generate_private_key(65537, MIN_RSA // 2))), "1024 bits"),
    ],
)
def test_unreadable(document: bytes, reason: str) -> None:
    with pytest.raises(NotTrusted, match=reason):
        certificates.load(document, "test")


def test_flipped_bits() -> None:
    """Nothing but NotTrusted comes out, and what is accepted says what was signed."""
    made = issued(ROOT, CODE_SIGNING, mail("a@example.com"))
    der = made.public_bytes(Encoding.DER)
    refused = 0
    for bit in range(len(der) * 8):
        flipped = bytearray(der)
        flipped[bit // 8] ^= 1 << bit % 8
        try:
            (leaf,) = certificates.load(pem.encode("CERTIFICATE", bytes(flipped)), "test")
            verify_chain(leaf, (), load(ROOT.certificate), NOW)
            assert leaf.loaded.tbs_certificate_bytes == made.tbs_certificate_bytes, bit
        except NotTrusted:
            refused += 1
    # One octet, of which three bits may be set, says how many bits of the last one do not count.
    assert refused >= len(der) * 8 - 3
