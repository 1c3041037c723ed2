# SPDX-License-Identifier: LGPL-2.1-or-later
"""From a destination argument to the place that is written, opened only when it is needed."""

import os
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from functools import partial
from typing import assert_never

from atomic_sys.engine.registry_signatures import RegistrySignatures
from atomic_sys.errors import AtomicSysError, UsageError
from atomic_sys.frozen import frozen
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
from atomic_sys.image.registry_destination import RegistryDestination, RegistryWriter
from atomic_sys.model.digest import Digest
from atomic_sys.model.reference import DockerReference
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
from atomic_sys.trust.framing import SigstoreAttachment, unframe
from atomic_sys.trust.lookaside import LookasideConfig

# The repositories (`HOST/PATH`) that are known to have a blob.
KnownRepositories = Callable[[Digest], Iterable[DockerReference]]


@frozen
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

        places = RegistrySignatures(writer, self.lookaside, self.http.get_document)
        return RegistryDestination(writer, partial(_put_signatures, places), known)


def _put_signatures(
    places: RegistrySignatures, digest: Digest, signatures: tuple[bytes, ...]
) -> Callable[[], None] | None:
    """Add those that are not there yet; gives what adds them if the manifest must be there first.

    Raises AtomicSysError.
    """
    blobs = [unframe(one, f"a signature of {digest}") for one in signatures]
    if not places.uses_attachments and any(isinstance(one, SigstoreAttachment) for one in blobs):
        raise AtomicSysError(
            f"{digest} has sigstore signatures, and nobody would look for them there",
            hint="say `use-sigstore-attachments: true` in registries.d, or --remove-signatures",
        )
    add = partial(places.add_missing, digest, blobs)
    if places.follow_the_manifest(blobs):
        return add
    add()
    return None


def same_place(source: Source, target: Source) -> bool:
    """Whether the target is the directory that the source is read from, and would be emptied."""
    if not isinstance(source, DirectorySource) or not isinstance(target, DirectorySource):
        return False
    return os.path.realpath(source.path) == os.path.realpath(target.path)
