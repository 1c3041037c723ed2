# SPDX-License-Identifier: LGPL-2.1-or-later
"""Whom a certificate is for: mail addresses, host names, and who vouched for them to Fulcio.

Sources: RFC 5280, 4.2.1.6; RFC 6125, 6.4; the object identifiers of Fulcio (docs/oid-info.md).
"""

import ipaddress
from collections.abc import Iterator

from atomic_sys.trust.certificates import Certificate, NotTrusted, extension

_ISSUER_V1 = "1.3.6.1.4.1.57264.1.1"
_ISSUER_V2 = "1.3.6.1.4.1.57264.1.8"
_UTF8_STRING = 0x0C  # the ASN.1 tag


def require_mail(certificate: Certificate, wanted: str) -> None:
    """Raise NotTrusted unless the certificate is for this mail address, letter by letter."""
    from cryptography import x509

    names = extension(certificate, x509.SubjectAlternativeName)
    mails = [] if names is None else names.get_values_for_type(x509.RFC822Name)
    if wanted not in mails:
        found = ", ".join(mails)[:255] or "no mail address"
        raise NotTrusted(f"the certificate is for {found}, not for {wanted}")


def require_host(certificate: Certificate, wanted: str) -> None:
    """Raise NotTrusted unless the certificate is for this host name or address."""
    from cryptography import x509

    names = extension(certificate, x509.SubjectAlternativeName)
    if names is None:
        raise NotTrusted(f"the certificate is for no host, not for {wanted}")
    try:
        address = ipaddress.ip_address(wanted.removeprefix("[").removesuffix("]"))
    except ValueError:
        hosts = names.get_values_for_type(x509.DNSName)
        fits = any(_fits(host, wanted) for host in hosts)
    else:
        hosts = [str(one) for one in names.get_values_for_type(x509.IPAddress)]
        fits = str(address) in hosts
    if not fits:
        found = ", ".join(hosts)[:255] or "no such host"
        raise NotTrusted(f"the certificate is for {found}, not for {wanted}")


def _fits(pattern: str, host: str) -> bool:
    """A `*` stands for the whole first label, and for one label only."""
    ours, theirs = host.lower().removesuffix(".").split("."), pattern.lower().split(".")
    if len(ours) != len(theirs) or "" in ours:
        return False
    first, rest = theirs[0], theirs[1:]
    return rest == ours[1:] and (first == ours[0] or (first == "*" and len(rest) > 0))


def require_issuer(certificate: Certificate, wanted: str) -> None:
    """Raise NotTrusted unless Fulcio notes this OpenID Connect issuer, in whatever way it does."""
    found = dict.fromkeys(_issuers(certificate))
    if not found:
        raise NotTrusted("the certificate names no OIDC issuer")
    if list(found) != [wanted]:
        raise NotTrusted(f"the OIDC issuer is {' and '.join(found)[:255]}, not {wanted}")


def _issuers(certificate: Certificate) -> Iterator[str]:
    for one in certificate.extensions:
        value = getattr(one.value, "value", b"")
        match one.oid.dotted_string:
            case oid if oid == _ISSUER_V1:
                yield value.decode("utf-8", "backslashreplace")
            case oid if oid == _ISSUER_V2:
                yield _utf8_string(value)
            case _:
                continue


def _utf8_string(der: bytes) -> str:
    """The content of exactly one short UTF8String (X.690, 8.1.3). Raises NotTrusted."""
    head = 2
    if der[1:2] == b"\x81" and len(der) > 2 and der[2] >= 0x80:
        head = 3
    if len(der) < head or der[0] != _UTF8_STRING or der[head - 1] != len(der) - head:
        raise NotTrusted("the OIDC issuer in the certificate is not a short UTF8String")
    try:
        return der[head:].decode()
    except UnicodeDecodeError:
        raise NotTrusted("the OIDC issuer in the certificate is not UTF-8") from None
