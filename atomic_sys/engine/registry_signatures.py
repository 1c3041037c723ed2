# SPDX-License-Identifier: LGPL-2.1-or-later
"""Signatures of images in one repository of a registry, added where hosts look for them.

Simple ones go to the registry itself where it has the API for that, since nobody looks elsewhere
then, else to the lookaside store that registries.d names; sigstore's beside the image. What is
there already is not written again.
"""

from collections.abc import Iterable, Iterator, Sequence

from atomic_sys.engine.attachments import write_attachments
from atomic_sys.errors import AtomicSysError
from atomic_sys.image.registry_destination import RegistryDestination, RegistryWriter
from atomic_sys.model.digest import Digest
from atomic_sys.trust import extension
from atomic_sys.trust.framing import (
    SignatureBlob,
    SigstoreAttachment,
    SimpleSignature,
    frame,
    new_ones,
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

    def add(self, digest: Digest, signatures: Iterable[SignatureBlob]) -> Iterator[str]:
        """Add signatures of one manifest; yields where each new one is.

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
        if simple and self._api.announced():
            yield from self._to_registry(digest, simple)
        elif simple:
            yield from self._to_lookaside(digest, simple)
        if attachments:
            yield from self._beside(digest, attachments)

    def _to_registry(self, digest: Digest, simple: Sequence[SimpleSignature]) -> Iterator[str]:
        address = self._api.address(digest)
        stored = extension.parse_signatures(self._api.read(digest), address)
        missing = new_ones(simple, stored)
        if missing and len(stored) + len(missing) > MAX_SIGNATURES:
            raise AtomicSysError(
                f"{address} has {len(stored)} signatures already, and nobody reads more than"
                f" {MAX_SIGNATURES}"
            )
        for signature in missing:
            self._api.add(digest, extension.new_signature(digest, frame(signature)))
            yield address

    def _to_lookaside(self, digest: Digest, simple: Sequence[SimpleSignature]) -> Iterator[str]:
        reference = self._writer.reference
        base = staging_base(self._config, docker_identity(reference))
        stored = signatures_at(base, reference, digest, self._get)
        yield from write_lookaside(base, reference, digest, map(frame, new_ones(simple, stored)))

    def _beside(self, digest: Digest, attachments: Sequence[SigstoreAttachment]) -> Iterator[str]:
        origin = self._writer.reader()
        tag = write_attachments(origin, self._open_tagged, digest, attachments)
        if tag is not None:
            yield f"docker://{self._writer.reference.name}:{tag}"

    def _open_tagged(self, tag: str) -> RegistryDestination:
        return RegistryDestination(self._writer.tagged(tag), lambda _digest, _signatures: None)
