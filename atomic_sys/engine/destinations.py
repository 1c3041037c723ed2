# SPDX-License-Identifier: LGPL-2.1-or-later
"""From a destination argument to the place that is written, opened only when it is needed."""

import os
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import partial
from typing import assert_never

from atomic_sys.engine.attachments import read_attachments, write_attachments
from atomic_sys.errors import AtomicSysError, UsageError
from atomic_sys.image.credentials import CredentialLookup
from atomic_sys.image.destination import Destination
from atomic_sys.image.dir_destination import DirectoryDestination
from atomic_sys.image.docker_archive_writer import DockerArchiveDestination
from atomic_sys.image.docker_daemon import DockerDaemonDestination
from atomic_sys.image.docker_engine import DockerEngine, socket_path
from atomic_sys.image.http import Http
from atomic_sys.image.layout_archive_destination import LayoutArchiveDestination
from atomic_sys.image.layout_destination import LayoutDestination
from atomic_sys.image.registries_conf import Registries
from atomic_sys.image.registry import RegistryOrigin
from atomic_sys.image.registry_destination import RegistryDestination, RegistryWriter
from atomic_sys.model.digest import Digest
from atomic_sys.model.reference import DockerReference, ImageName
from atomic_sys.model.source import (
    DirectorySource,
    DockerArchiveSource,
    DockerDaemonSource,
    LayoutArchiveSource,
    LayoutSource,
    RegistrySource,
    Source,
    StoredSource,
)
from atomic_sys.model.target import check_format
from atomic_sys.trust.framing import SigstoreAttachment, SimpleSignature, frame, unframe
from atomic_sys.trust.lookaside import LookasideConfig, staging_base, uses_attachments
from atomic_sys.trust.scopes import docker_identity
from atomic_sys.trust.signature_files import write_lookaside
from atomic_sys.trust.signatures import signatures_at

# The repositories (`HOST/PATH`) that are known to have a blob.
KnownRepositories = Callable[[Digest], Iterable[DockerReference]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outside:
    """What it takes to reach a destination that is not on this machine."""

    http: Http
    registries: Registries
    credentials: CredentialLookup | None
    lookaside: LookasideConfig
    known: KnownRepositories
    docker_host: str | None = None  # $DOCKER_HOST

    def open(
        self, target: Source, media_types: frozenset[str]
    ) -> AbstractContextManager[Destination]:
        """The destination for manifests of these types.

        Raises UsageError for a place that images are not written to, UnfitFormat for one that does
        not take these, InvalidRegistries for a blocked registry.
        """
        check_format(target, media_types)
        match target:
            case RegistrySource():
                return self._registry(target)
            case LayoutSource():
                return LayoutDestination(target)
            case DirectorySource():
                return DirectoryDestination(target)
            case LayoutArchiveSource():
                return LayoutArchiveDestination(target)
            case DockerArchiveSource():
                return DockerArchiveDestination(target)
            case DockerDaemonSource():
                engine = DockerEngine(socket_path(self.docker_host))
                return DockerDaemonDestination(target, engine)
            case StoredSource():  # which is a pull
                raise UsageError(f"{target}: no image can be written there")
            case _:
                assert_never(target)

    def _registry(self, target: RegistrySource) -> RegistryDestination:
        writer = RegistryWriter(self.http, target, self.registries, self.credentials)
        domain = writer.reference.domain

        def known(digest: Digest) -> list[str]:
            places = (place for place in self.known(digest) if place.domain == domain)
            return list(dict.fromkeys(place.path for place in places))

        return RegistryDestination(writer, partial(self._put_signatures, writer, target), known)

    def _put_signatures(
        self,
        writer: RegistryWriter,
        target: RegistrySource,
        digest: Digest,
        signatures: tuple[bytes, ...],
    ) -> None:
        """Add those that are not there yet: all of them are of the same manifest."""
        simple, attachments = [], []
        for signature in signatures:
            match unframe(signature, "a signature"):
                case SimpleSignature():
                    simple.append(signature)
                case SigstoreAttachment() as attachment:
                    attachments.append(attachment)
        if attachments:  # first, since they are the ones that may have no place
            self._put_attachments(writer, target, digest, attachments)
        if simple:
            self._put_simple(writer.reference, digest, simple)

    def _put_simple(
        self, reference: DockerReference, digest: Digest, signatures: Sequence[bytes]
    ) -> None:
        base = staging_base(self.lookaside, docker_identity(reference))
        stored = signatures_at(base, reference, digest, self.http.get_document)
        there = {s.message for s in stored if isinstance(s, SimpleSignature)}
        new = [signature for signature in signatures if signature not in there]
        for _ in write_lookaside(base, reference, digest, new):
            pass

    def _put_attachments(
        self,
        writer: RegistryWriter,
        target: RegistrySource,
        digest: Digest,
        attachments: Sequence[SigstoreAttachment],
    ) -> None:
        if not uses_attachments(self.lookaside, docker_identity(writer.reference)):
            raise AtomicSysError(
                f"{digest} has sigstore signatures, and registries.d does not say that"
                f" {writer.reference.name} takes any",
                hint="say there use-sigstore-attachments: true, or copy with --remove-signatures",
            )
        origin = RegistryOrigin(self.http, target, self.registries, self.credentials)
        there = {frame(one) for one in read_attachments(origin, digest)}
        new = [one for one in attachments if frame(one) not in there]
        if new:
            write_attachments(origin, partial(self._tagged, writer.reference, target), digest, new)

    def _tagged(
        self, reference: DockerReference, target: RegistrySource, tag: str
    ) -> RegistryDestination:
        """Another tag of the same repository."""
        other = replace(target, name=ImageName.parse(f"{reference.name}:{tag}"))
        writer = RegistryWriter(self.http, other, self.registries, self.credentials)
        return RegistryDestination(writer, _none)


def _none(_digest: Digest, _signatures: tuple[bytes, ...]) -> None:
    """Signatures have no signatures."""


def same_place(source: Source, target: Source) -> bool:
    """Whether the target is the directory that the source is read from, and would be emptied."""
    if not isinstance(source, DirectorySource) or not isinstance(target, DirectorySource):
        return False
    return os.path.realpath(source.path) == os.path.realpath(target.path)
