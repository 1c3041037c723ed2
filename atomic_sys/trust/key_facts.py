# SPDX-License-Identifier: LGPL-2.1-or-later
"""The keys that requirements name, as people want to see them: whose, until when, what is wrong.

A key that cannot be had is a fact too. Pure, but for the reader of files and what lists OpenPGP
keys, both handed in.
"""

import time
from collections.abc import Callable, Iterator
from typing import assert_never

from atomic_sys.frozen import frozen
from atomic_sys.model.strict_json import Json
from atomic_sys.trust.key_sources import KeyReader, UnusableKeys, read_keys
from atomic_sys.trust.openpgp_keys import OpenPgpKey
from atomic_sys.trust.requirements import (
    Fulcio,
    InsecureAcceptAnything,
    KeyData,
    KeyDatas,
    KeyPath,
    KeyPaths,
    Pki,
    Reject,
    Requirement,
    SignedBaseLayer,
    SignedBy,
    SigstoreKeySource,
    SigstoreSigned,
)

ListKeys = Callable[[bytes], tuple[OpenPgpKey, ...]]


@frozen
class KeyFact:
    """One key, or a place where one should be.

    `source` is the file, or the field of the policy. `flaw` says why no signature of it can count;
    a key without a fingerprint is missing. `expires` is in seconds since the epoch.
    """

    source: str
    fingerprint: str | None = None
    owner: str | None = None
    expires: int | None = None
    flaw: str | None = None

    @property
    def shown(self) -> str:
        """Whose it is, else where it is."""
        return self.owner or self.fingerprint or self.source

    def __str__(self) -> str:
        flaw = "" if self.flaw is None else f" ({self.flaw})"
        if self.fingerprint is None:
            return f"{self.shown}{flaw}"
        until = "" if self.expires is None else f", expires {date(self.expires)}"
        owner = f" {self.owner}" if self.owner else ""
        return f"{self.fingerprint}{owner}{until}, in {self.source}{flaw}"

    def as_json(self) -> Json:
        """The same for a program."""
        return {
            "source": self.source,
            "fingerprint": self.fingerprint,
            "owner": self.owner,
            "expires": None if self.expires is None else date(self.expires),
            "flaw": self.flaw,
        }


def date(seconds: int) -> str:
    """The day, as `2026-11-24`; gpg has no years above 2106."""
    return time.strftime("%Y-%m-%d", time.gmtime(seconds))


def facts(requirement: Requirement, read: KeyReader, list_keys: ListKeys) -> tuple[KeyFact, ...]:
    """Every key that the requirement names. Raises AtomicSysError when gpg cannot be run."""
    match requirement:
        case SignedBy():
            return tuple(_each(requirement.keys, read, lambda s, c: _openpgp(s, c, list_keys)))
        case SigstoreSigned():
            return tuple(_sigstore(requirement, read))
        case InsecureAcceptAnything() | Reject() | SignedBaseLayer():
            return ()
        case _ as unreachable:
            assert_never(unreachable)


def _each(
    source: SigstoreKeySource,
    read: KeyReader,
    examine: Callable[[str, bytes], Iterator[KeyFact]],
) -> Iterator[KeyFact]:
    """Each file by itself, since one that is missing is no reason to hide the others."""
    parts: list[SigstoreKeySource] = [source]
    match source:
        case KeyPaths(paths):
            parts = [KeyPath(path) for path in paths]
        case KeyPath() | KeyData() | KeyDatas():
            pass
        case _ as unreachable:
            assert_never(unreachable)
    if not parts:
        yield KeyFact(source="keyPaths", flaw="names no key files")
    for part in parts:
        try:
            for name, content in read_keys(part, read):
                yield from examine(name, content)
        except UnusableKeys as error:
            name = part.path if isinstance(part, KeyPath) else "keyData"
            yield KeyFact(source=name, flaw=str(error))


def _openpgp(source: str, content: bytes, list_keys: ListKeys) -> Iterator[KeyFact]:
    found = list_keys(content)
    if not found:
        yield KeyFact(source=source, flaw="no OpenPGP public key in it")
    for key in found:
        yield KeyFact(
            source=source,
            fingerprint=key.fingerprint,
            owner=key.owner,
            expires=key.expires,
            flaw=key.flaw,
        )


def _sigstore(requirement: SigstoreSigned, read: KeyReader) -> Iterator[KeyFact]:
    match requirement.trusted:
        case Fulcio() as fulcio:
            yield from _each(fulcio.ca, read, _certificates)
            yield KeyFact(source="fulcio", owner=fulcio.subject_email)
        case Pki() as pki:
            yield from _each(pki.roots, read, _certificates)
            if pki.intermediates is not None:
                yield from _each(pki.intermediates, read, _certificates)
            subjects = (pki.subject_email, pki.subject_hostname)
            yield from (KeyFact(source="pki", owner=one) for one in subjects if one)
        case keys:
            yield from _each(keys, read, _public_key)
    if requirement.rekor_keys is not None:
        yield from _each(requirement.rekor_keys, read, _public_key)


def _public_key(source: str, content: bytes) -> Iterator[KeyFact]:
    from atomic_sys.trust import public_key  # this imports `cryptography`

    try:
        key = public_key.load_pem(content, source)
    except public_key.UnusableKey as error:
        yield KeyFact(source=source, flaw=str(error))
    else:
        yield KeyFact(source=source, fingerprint=key.fingerprint)


def _certificates(source: str, content: bytes) -> Iterator[KeyFact]:
    from atomic_sys.trust import certificates  # as above

    try:
        loaded = certificates.load(content, source)
    except certificates.NotTrusted as error:
        yield KeyFact(source=source, flaw=str(error))
        return
    for one in loaded:
        yield KeyFact(
            source=source,
            fingerprint=one.key.fingerprint,
            owner=one.name,
            expires=int(one.life[1].timestamp()),
        )
