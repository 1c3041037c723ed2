# SPDX-License-Identifier: LGPL-2.1-or-later
"""Whether a certificate leads to a trusted root, at a given moment, for signing code (RFC 5280).

What is not understood is refused by name, never passed over: unknown critical extensions and name
constraints. A signature with a weak hash or by RSA-PSS leads to nobody. Revocation is not looked
at; nothing here asks a network.
The library that Debian 12 has (cryptography 38) brings no path validation of its own.
"""

import warnings
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypeVar

from atomic_sys.errors import AtomicSysError
from atomic_sys.frozen import frozen
from atomic_sys.trust import pem
from atomic_sys.trust.public_key import PublicKey, UnusableKey, verifies, wrap

if TYPE_CHECKING:
    from cryptography import x509

E = TypeVar("E", bound="x509.ExtensionType")
MAX_CERTIFICATES = 32  # in one document: each may cost a signature check for each below it
_MAX_DEPTH = 8
_CODE_SIGNING = "1.3.6.1.5.5.7.3.3"
_ANY_USAGE = "2.5.29.37.0"
# Looked at here: basic constraints, key usage, extended key usage, alternative names.
_UNDERSTOOD = frozenset(("2.5.29.19", "2.5.29.15", "2.5.29.37", "2.5.29.17"))
_NAME_CONSTRAINTS = "2.5.29.30"
_HASHES = ("sha256", "sha384", "sha512")


class NotTrusted(AtomicSysError):
    """A certificate that is not to be believed, and why, in plain words."""


@frozen
class Certificate:
    """One certificate; `name` is its subject, for an error message, `life` its two ends."""

    der: bytes
    loaded: "x509.Certificate"
    name: str
    key: PublicKey
    extensions: "x509.Extensions"
    life: tuple[datetime, datetime]

    def is_issued_by(self, issuer: "Certificate") -> bool:
        """Whether the issuer's name and key are those that made this certificate."""
        certificate = self.loaded
        if certificate.issuer != issuer.loaded.subject:
            return False
        digest = certificate.signature_hash_algorithm
        if digest is not None and digest.name not in _HASHES:
            return False
        return verifies(
            issuer.key.loaded,
            certificate.signature,
            certificate.tbs_certificate_bytes,
            digest,
        )


def load(document: bytes, what: str) -> tuple[Certificate, ...]:
    """All certificates of a PEM document, at least one; `what` names it. Raises NotTrusted."""
    try:
        found = pem.blocks(document, what)
    except pem.InvalidPem as error:
        raise NotTrusted(str(error)) from None
    if not 0 < len(found) <= MAX_CERTIFICATES:
        raise NotTrusted(f"{what} has {len(found)} certificates, not 1 to {MAX_CERTIFICATES}")
    return tuple(_load(block, what) for block in found)


def _load(block: pem.Block, what: str) -> Certificate:
    from cryptography import x509
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.utils import CryptographyDeprecationWarning

    if block.label != "CERTIFICATE":
        raise NotTrusted(f"{what} has something else than certificates: {block.label.lower()}")
    try:
        # The library warns of what RFC 5280 forbids, such as a negative serial number.
        with warnings.catch_warnings(action="error", category=CryptographyDeprecationWarning):
            return _read(block.content, f"the key of a certificate in {what}")
    except UnusableKey as error:
        raise NotTrusted(str(error)) from None
    except (
        ValueError,
        TypeError,
        LookupError,
        UnsupportedAlgorithm,
        CryptographyDeprecationWarning,
        x509.DuplicateExtension,
        x509.InvalidVersion,
        x509.UnsupportedGeneralNameType,
    ):
        raise NotTrusted(f"{what} has a certificate that cannot be read") from None


def _read(der: bytes, key_name: str) -> Certificate:
    """Read all of it now, since the library raises only when something is first asked for."""
    from cryptography import x509

    loaded = x509.load_der_x509_certificate(der)
    _ = (loaded.issuer, loaded.signature_hash_algorithm)
    return Certificate(
        der=der,
        loaded=loaded,
        name=loaded.subject.rfc4514_string() or "without a subject",
        key=wrap(loaded.public_key(), key_name),
        extensions=loaded.extensions,
        life=(_moment(loaded, "not_valid_before"), _moment(loaded, "not_valid_after")),
    )


def _moment(certificate: "x509.Certificate", name: str) -> datetime:
    """An end of its life; newer releases of the library have it under another name."""
    for attribute in (f"{name}_utc", name):
        value = getattr(certificate, attribute, None)
        if isinstance(value, datetime):
            return value.replace(tzinfo=UTC)
    raise ValueError(name)


def verify_chain(
    leaf: Certificate,
    between: Sequence[Certificate],
    roots: Sequence[Certificate],
    at: datetime,
) -> None:
    """Raise NotTrusted unless the leaf leads to a root by certificates all good at that moment.

    A leaf that is itself among the roots does.
    """
    _check_alone(leaf, at)
    if any(root.der == leaf.der for root in roots):
        return
    objections: list[str] = []
    seen = {leaf.der}
    reached: tuple[Certificate, ...] = (leaf,)
    # Level by level, and each certificate once: the shortest way is the one with the fewest
    # authorities below, and a crafted chain cannot make this take exponential time.
    for below in range(_MAX_DEPTH):
        if _issuers(reached, roots, at, below, objections):
            return
        reached = tuple(
            issuer
            for issuer in _issuers(reached, between, at, below, objections)
            if issuer.der not in seen
        )
        seen.update(issuer.der for issuer in reached)
    reason = f": {'; '.join(dict.fromkeys(objections))}" if objections else ""
    raise NotTrusted(f"the certificate {leaf.name} leads to no trusted root{reason}")


def _issuers(
    issued: Sequence[Certificate],
    candidates: Sequence[Certificate],
    at: datetime,
    below: int,
    objections: list[str],
) -> tuple[Certificate, ...]:
    """Those of the candidates that issued one of the certificates, and were allowed to."""
    found = []
    for issuer in candidates:
        if any(one.is_issued_by(issuer) for one in issued if one.der != issuer.der):
            try:
                _check_alone(issuer, at)
                _check_authority(issuer, below=below)
            except NotTrusted as error:
                objections.append(str(error))
            else:
                found.append(issuer)
    return tuple(found)


def _check_alone(certificate: Certificate, at: datetime) -> None:
    name, (first, last) = certificate.name, certificate.life
    if at < first:
        raise NotTrusted(f"the certificate {name} is not valid yet at {at:%Y-%m-%d %H:%M:%S} UTC")
    if at > last:
        raise NotTrusted(f"the certificate {name} has expired by {at:%Y-%m-%d %H:%M:%S} UTC")
    usages = _usages(certificate)
    if usages is not None and not usages & {_CODE_SIGNING, _ANY_USAGE}:
        raise NotTrusted(f"the certificate {name} is not for signing code")
    for one in certificate.extensions:
        oid = one.oid.dotted_string
        if oid == _NAME_CONSTRAINTS:
            raise NotTrusted(f"the certificate {name} has name constraints: not supported")
        if one.critical and oid not in _UNDERSTOOD:
            raise NotTrusted(f"the certificate {name} has the unknown critical extension {oid}")


def _check_authority(certificate: Certificate, *, below: int) -> None:
    """Whether it may issue certificates, with so many authorities below it."""
    from cryptography import x509

    name = certificate.name
    constraints = extension(certificate, x509.BasicConstraints)
    if constraints is None or not constraints.ca:
        raise NotTrusted(f"{name} is not the certificate of an authority")
    if constraints.path_length is not None and below > constraints.path_length:
        raise NotTrusted(f"the authority {name} may not have {below} authorities below it")
    usage = extension(certificate, x509.KeyUsage)
    if usage is not None and not usage.key_cert_sign:
        raise NotTrusted(f"the authority {name} may not sign certificates")


def extension(certificate: Certificate, kind: type[E]) -> E | None:
    """The extension of this class, if there is one."""
    from cryptography import x509

    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None


def _usages(certificate: Certificate) -> set[str] | None:
    """The extended key usages; None where nothing is said, which means any (as Go has it)."""
    from cryptography import x509

    usage = extension(certificate, x509.ExtendedKeyUsage)
    return None if usage is None else {oid.dotted_string for oid in usage}
