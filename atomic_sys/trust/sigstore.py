# SPDX-License-Identifier: LGPL-2.1-or-later
"""Whether a sigstore attachment satisfies `sigstoreSigned`, offline.

An attachment is a payload with annotations, as cosign makes them: the signature of the payload, and
beside it, where there is no lasting key, a certificate and the promise of the log. Nothing of the
payload is looked at before its signature is good. Source: containers-policy.json(5).
"""

from datetime import UTC, datetime
from typing import assert_never

from atomic_sys.frozen import frozen
from atomic_sys.model.strict_json import InvalidJson
from atomic_sys.trust import certificates, pem, subjects
from atomic_sys.trust.certificates import Certificate, NotTrusted
from atomic_sys.trust.fields import base64_bytes
from atomic_sys.trust.framing import SigstoreAttachment
from atomic_sys.trust.key_sources import KeyReader, UnusableKeys, read_keys
from atomic_sys.trust.public_key import PublicKey, UnusableKey, load_pem
from atomic_sys.trust.rekor import Claim, NotLogged, logged_at
from atomic_sys.trust.requirements import (
    Fulcio,
    KeyData,
    KeyPath,
    Pki,
    SigstoreKeySource,
    SigstoreSigned,
)
from atomic_sys.trust.verifier import Refused, Signed, TrustedKey

MIME = "application/vnd.dev.cosign.simplesigning.v1+json"
SIGNATURE = "dev.cosignproject.cosign/signature"
BUNDLE = "dev.sigstore.cosign/bundle"
CERTIFICATE = "dev.sigstore.cosign/certificate"
CHAIN = "dev.sigstore.cosign/chain"
_MAX_SECONDS = 253402300799  # the end of the year 9999


@frozen
class _ByKeys:
    keys: tuple[PublicKey, ...]


@frozen
class _ByFulcio:
    roots: tuple[Certificate, ...]
    issuer: str
    mail: str


@frozen
class _ByPki:
    roots: tuple[Certificate, ...]
    between: tuple[Certificate, ...]
    mail: str | None
    host: str | None

    @property
    def subject(self) -> str | None:
        """Who a certificate must be for."""
        return self.mail or self.host


@frozen
class TrustRoot:
    """What one requirement trusts, loaded: all of it could be read."""

    trusted: _ByKeys | _ByFulcio | _ByPki
    log_keys: tuple[PublicKey, ...] | None

    @property
    def keys(self) -> tuple[TrustedKey, ...]:
        """The keys with their files, or those of the root certificates with whom they may name."""
        owners: dict[str, str | None]
        match self.trusted:
            case _ByKeys(keys=keys):
                owners = {key.fingerprint: key.name for key in keys}
            case _ByFulcio(roots=roots, mail=mail):
                owners = {root.key.fingerprint: mail for root in roots}
            case _ByPki(roots=roots) as pki:
                owners = {root.key.fingerprint: pki.subject for root in roots}
            case _ as unreachable:
                assert_never(unreachable)
        return tuple(TrustedKey(fingerprint=one, owner=owner) for one, owner in owners.items())

    def verify(self, attachment: SigstoreAttachment, now: datetime) -> Signed | Refused:
        """Who signed the payload, if it was one who is trusted; `now` is when pki is judged."""
        try:
            signature = base64_bytes(_annotation(attachment, SIGNATURE), "the signature")
            match self.trusted:
                case _ByKeys(keys=keys):
                    candidates = self._keys(keys, attachment, signature)
                    user = None
                case _ByFulcio() as fulcio:
                    candidates = (self._by_fulcio(fulcio, attachment, signature),)
                    user = fulcio.mail
                case _ByPki() as pki:
                    candidates = (_by_pki(pki, attachment, now),)
                    user = pki.subject
                case _ as unreachable:
                    assert_never(unreachable)
        except (InvalidJson, NotLogged, NotTrusted) as error:
            return Refused(str(error))
        for key in candidates:
            if key.made(signature, attachment.payload):
                return Signed(
                    content=attachment.payload, fingerprint=key.fingerprint, user=user or key.name
                )
        return Refused("the content is not what any trusted key signed")

    def _keys(
        self, keys: tuple[PublicKey, ...], attachment: SigstoreAttachment, signature: bytes
    ) -> tuple[PublicKey, ...]:
        """All of them; where a log must know the signature, the one that the log knows it of."""
        if self.log_keys is None:
            return keys
        failure = NotLogged("no key")
        for key in keys:
            try:
                self._logged_at(attachment, signature, key.der)
            except NotLogged as error:
                failure = error
            else:
                return (key,)
        raise failure

    def _by_fulcio(
        self, fulcio: _ByFulcio, attachment: SigstoreAttachment, signature: bytes
    ) -> PublicKey:
        """The key of the certificate, which lives for minutes: the log says that it lived then."""
        document = _annotation(attachment, CERTIFICATE)
        leaf = _leaf(document)
        seconds = self._logged_at(attachment, signature, leaf.der)
        if seconds > _MAX_SECONDS:
            raise NotLogged("the time in the log is out of range")
        at = datetime.fromtimestamp(seconds, UTC)
        certificates.verify_chain(leaf, _chain(attachment), fulcio.roots, at)
        subjects.require_issuer(leaf, fulcio.issuer)
        subjects.require_mail(leaf, fulcio.mail)
        return leaf.key

    def _logged_at(self, attachment: SigstoreAttachment, signature: bytes, key: bytes) -> int:
        claim = Claim(payload=attachment.payload, signature=signature, key=key)
        return logged_at(_annotation(attachment, BUNDLE), self.log_keys or (), claim)


def _by_pki(pki: _ByPki, attachment: SigstoreAttachment, now: datetime) -> PublicKey:
    leaf = _leaf(_annotation(attachment, CERTIFICATE))
    certificates.verify_chain(leaf, (*pki.between, *_chain(attachment)), pki.roots, now)
    if pki.mail is not None:
        subjects.require_mail(leaf, pki.mail)
    if pki.host is not None:
        subjects.require_host(leaf, pki.host)
    return leaf.key


def _annotation(attachment: SigstoreAttachment, key: str) -> str:
    value = attachment.annotations.get(key)
    if value is None:
        raise InvalidJson(f"the annotation {key} is missing")
    return value


def _leaf(document: str) -> Certificate:
    found = certificates.load(_encoded(document), "the certificate of the signer")
    if len(found) != 1:
        raise NotTrusted(f"{len(found)} certificates of the signer, not one")
    return found[0]


def _chain(attachment: SigstoreAttachment) -> tuple[Certificate, ...]:
    """What lies between leaf and root; the last one is the root, which is not believed anyway."""
    document = attachment.annotations.get(CHAIN)
    if not document:
        return ()
    return certificates.load(_encoded(document), "the signer's chain of certificates")[:-1]


def _encoded(document: str) -> bytes:
    return document.encode("utf-8", "backslashreplace")


def load_trust_root(requirement: SigstoreSigned, read: KeyReader) -> TrustRoot:
    """Everything that the requirement trusts. Raises UnusableKeys unless all of it can be used."""
    try:
        return TrustRoot(
            trusted=_load_trusted(requirement.trusted, read),
            log_keys=_load_log_keys(requirement.rekor_keys, read),
        )
    except (UnusableKey, NotTrusted, pem.InvalidPem) as error:
        raise UnusableKeys(str(error)) from None


def _load_trusted(
    trusted: SigstoreKeySource | Fulcio | Pki, read: KeyReader
) -> _ByKeys | _ByFulcio | _ByPki:
    match trusted:
        case Fulcio():
            return _ByFulcio(
                roots=_load_certificates(trusted.ca, read),
                issuer=trusted.oidc_issuer,
                mail=trusted.subject_email,
            )
        case Pki():
            between = trusted.intermediates
            return _ByPki(
                roots=_load_certificates(trusted.roots, read),
                between=() if between is None else _load_certificates(between, read),
                mail=trusted.subject_email,
                host=trusted.subject_hostname,
            )
        case source:
            return _ByKeys(keys=_load_keys(source, read))


def _load_keys(source: SigstoreKeySource, read: KeyReader) -> tuple[PublicKey, ...]:
    return tuple(load_pem(document, name) for name, document in read_keys(source, read))


def _load_log_keys(
    source: SigstoreKeySource | None, read: KeyReader
) -> tuple[PublicKey, ...] | None:
    if source is None:
        return None
    keys = _load_keys(source, read)
    for key in keys:
        if not key.is_ecdsa:
            raise UnusableKey(f"{key.name}: the key of a log must be an ECDSA key")
    return keys


def _load_certificates(source: KeyPath | KeyData, read: KeyReader) -> tuple[Certificate, ...]:
    ((name, document),) = read_keys(source, read)
    return certificates.load(document, name)
