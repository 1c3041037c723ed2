# SPDX-License-Identifier: LGPL-2.1-or-later
"""Signatures of images in one repository of a registry, added where hosts look for them.

Simple ones go to the registry itself where it has the API for that, since nobody looks elsewhere
then, else to the lookaside store that registries.d names; sigstore's beside the image.
"""

from collections.abc import Iterable, Iterator, Sequence

from atomic_sys.engine.attachments import read_attachments, write_attachments
from atomic_sys.errors import AtomicSysError
from atomic_sys.image.registry_destination import RegistryDestination, RegistryWriter
from atomic_sys.model.digest import Digest
from atomic_sys.trust import extension
from atomic_sys.trust.framing import (
    SignatureBlob,
    SigstoreAttachment,
    SimpleSignature,
    frame,
)
from atomic_sys.trust.lookaside import LookasideConfig, staging_base, uses_attachments
from atomic_sys.trust.scopes import docker_identity
from atomic_sys.trust.signature_files import write_lookaside
from atomic_sys.trust.signatures import MAX_SIGNATURES, Get, signatures_at


class RegistrySignatures:
    """The signatures of whatever is in the repository of `writer`."""

    def __init__(self, writer: RegistryWriter, config: LookasideConfig, get: Get) -> None:
        self._writer = writer
        self._config = config
        self._get = get
        self._api = writer.signatures()

    @property
    def uses_attachments(self) -> bool:
        """Whether registries.d says that sigstore's signatures are looked for here."""
        return uses_attachments(self._config, docker_identity(self._writer.reference))

    def follow_the_manifest(self, signatures: Iterable[SignatureBlob]) -> bool:
        """Whether the registry must have the manifest before they can be added.

        Raises NetworkError.
        """
        simple = any(isinstance(one, SimpleSignature) for one in signatures)
        return simple and self._api.announced()

    def add(self, digest: Digest, signatures: Iterable[SignatureBlob]) -> Iterator[str]:
        """Add signatures of one manifest; yields where each is.

        Raises AtomicSysError, also where there is no place for them.
        """
        simple: list[SimpleSignature] = []
        attachments: list[SigstoreAttachment] = []
        for signature in signatures:
            match signature:
                case SimpleSignature():
                    simple.append(signature)
                case SigstoreAttachment():
                    attachments.append(signature)
        if simple:
            yield from self._add_simple(digest, simple)
        if attachments:
            yield self._add_attachments(digest, attachments)

    def add_missing(self, digest: Digest, signatures: Sequence[SignatureBlob]) -> None:
        """Add those that are not there yet. Raises AtomicSysError, as add() does."""
        stored: list[SignatureBlob] = []
        if any(isinstance(one, SimpleSignature) for one in signatures):
            stored += self._stored_simple(digest)
        if any(isinstance(one, SigstoreAttachment) for one in signatures):
            stored += read_attachments(self._writer.reader(), digest)
        there = {frame(one) for one in stored}
        for _ in self.add(digest, [one for one in signatures if frame(one) not in there]):
            pass

    def _stored_simple(self, digest: Digest) -> tuple[SignatureBlob, ...]:
        if self._api.announced():
            return extension.parse_signatures(self._api.read(digest), self._api.address(digest))
        reference = self._writer.reference
        return signatures_at(self._staging(), reference, digest, self._get)

    def _add_simple(self, digest: Digest, simple: Sequence[SimpleSignature]) -> Iterator[str]:
        if not self._api.announced():
            blobs = map(frame, simple)
            yield from write_lookaside(self._staging(), self._writer.reference, digest, blobs)
            return
        address = self._api.address(digest)
        present = len(self._stored_simple(digest))
        if present + len(simple) > MAX_SIGNATURES:
            raise AtomicSysError(
                f"{address} has {present} signatures already, and nobody reads more than"
                f" {MAX_SIGNATURES}"
            )
        for signature in simple:
            self._api.add(digest, extension.new_signature(digest, frame(signature)))
            yield address

    def _add_attachments(self, digest: Digest, attachments: Sequence[SigstoreAttachment]) -> str:
        tag = write_attachments(self._writer.reader(), self._open_tagged, digest, attachments)
        return f"docker://{self._writer.reference.name}:{tag}"

    def _staging(self) -> str:
        return staging_base(self._config, docker_identity(self._writer.reference))

    def _open_tagged(self, tag: str) -> RegistryDestination:
        return RegistryDestination(self._writer.tagged(tag), lambda _digest, _signatures: None)
