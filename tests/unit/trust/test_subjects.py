# SPDX-License-Identifier: LGPL-2.1-or-later
"""Whom a certificate is for: mail, hosts, and who vouched for them."""

import ipaddress

import pytest
from cryptography import x509

from atomic_sys.trust import certificates, subjects
from atomic_sys.trust.certificates import Certificate, NotTrusted
from tests.support.sigstore import (
    CODE_SIGNING,
    Extension,
    authority,
    certificate,
    issuer_notes,
    new_key,
    pem_of,
)

ROOT = authority("root")
KEY = new_key()


def load(made: x509.Certificate) -> tuple[Certificate, ...]:
    return certificates.load(pem_of(made), "test")


def issued(*extensions: Extension) -> x509.Certificate:
    return certificate("leaf", KEY, ROOT, (CODE_SIGNING, *extensions))


def for_names(*names: x509.GeneralName) -> Certificate:
    extension = (x509.SubjectAlternativeName(names), False)
    return load(issued(extension))[0]


@pytest.mark.parametrize(
    ("pattern", "host", "fits"),
    [
        ("a.example", "a.example", True),
        ("A.Example", "a.eXample.", True),
        ("*.example", "a.example", True),
        ("*.example", "example", False),
        ("*.example", "a.b.example", False),
        ("a*.example", "ab.example", False),
        ("*", "example", False),
        ("a.example", "b.example", False),
        (".example", ".example", False),
        ("a.example", "", False),
    ],
)
def test_host(pattern: str, host: str, *, fits: bool) -> None:
    subject = for_names(x509.DNSName(pattern), x509.RFC822Name("a@x"))
    if fits:
        subjects.require_host(subject, host)
    else:
        with pytest.raises(NotTrusted, match="not for"):
            subjects.require_host(subject, host)


def test_address() -> None:
    subject = for_names(x509.IPAddress(ipaddress.ip_address("::1")), x509.DNSName("1.2.3.4"))
    subjects.require_host(subject, "[::1]")
    with pytest.raises(NotTrusted, match="is for ::1, not for"):
        subjects.require_host(subject, "1.2.3.4")


def test_nobody() -> None:
    (subject,) = load(issued())
    with pytest.raises(NotTrusted, match="no mail address"):
        subjects.require_mail(subject, "a@x")
    with pytest.raises(NotTrusted, match="for no host"):
        subjects.require_host(subject, "a.example")
    with pytest.raises(NotTrusted, match="no such host"):
        subjects.require_host(for_names(x509.RFC822Name("a@x")), "a.example")
    with pytest.raises(NotTrusted, match="names no OIDC issuer"):
        subjects.require_issuer(subject, "https://i")


def noted(oid_end: int, value: bytes) -> Extension:
    oid = x509.ObjectIdentifier(f"1.3.6.1.4.1.57264.1.{oid_end}")
    return x509.UnrecognizedExtension(oid, value), False


LONG = "https://" + "x" * 130


@pytest.mark.parametrize(
    ("notes", "reason"),
    [
        ([issuer_notes("https://i")], None),
        ([issuer_notes("https://i", version=1)], None),
        ([issuer_notes("https://i", version=1), issuer_notes("https://i")], None),
        ([issuer_notes("https://i", version=1), issuer_notes("https://j")], "and https://j, not"),
        ([issuer_notes("https://j")], "is https://j, not"),
        ([noted(8, b"https://i")], "not a short UTF8String"),
        ([noted(8, b"")], "not a short UTF8String"),
        ([noted(8, b"\x0c\x09https://ii")], "not a short UTF8String"),
        ([noted(8, b"\x0c\x01\xff")], "not UTF-8"),
        ([noted(1, b"\xff")], "xff, not"),
    ],
)
def test_issuer(notes: list[Extension], reason: str | None) -> None:
    (subject,) = load(issued(*notes))
    if reason is None:
        subjects.require_issuer(subject, "https://i")
    else:
        with pytest.raises(NotTrusted, match=reason):
            subjects.require_issuer(subject, "https://i")


def test_long_issuer() -> None:
    (subject,) = load(issued(issuer_notes(LONG)))
    subjects.require_issuer(subject, LONG)
