# SPDX-License-Identifier: LGPL-2.1-or-later
"""`docker-daemon:`: an image of the Docker engine on this host, read or written.

The engine has no manifests; it saves and loads archives, so an image is what its archive is: see
docker_archive.py. The archive is fetched once, into a file without a name.
"""

import contextlib
import threading
import weakref
from collections.abc import Generator

from atomic_sys.image.archive import ArchiveFiles
from atomic_sys.image.docker_archive import DockerArchiveOrigin
from atomic_sys.image.docker_archive_writer import (
    DockerArchiveWriter,
    single,
    spool_directory,
    tags_of,
)
from atomic_sys.image.docker_engine import DockerEngine
from atomic_sys.image.origin import RawManifest
from atomic_sys.image.spooled_destination import SpooledDestination
from atomic_sys.image.tar_writer import Spool, tar_chunks, tar_size
from atomic_sys.model.digest import Digest
from atomic_sys.model.manifest import Descriptor
from atomic_sys.model.source import DockerArchiveSource, DockerDaemonSource


class DockerDaemonOrigin:
    """One image of the engine; safe for threads."""

    def __init__(self, source: DockerDaemonSource, engine: DockerEngine) -> None:
        self._source = source
        self._engine = engine
        self._lock = threading.Lock()
        self._archive: DockerArchiveOrigin | None = None

    @property
    def description(self) -> str:
        """`docker-daemon:NAME:TAG` or `docker-daemon:sha256:HEX`."""
        return str(self._source)

    def manifest(self, digest: Digest | None) -> RawManifest:
        """See DockerArchiveOrigin. Raises NotFound, EngineError, and what that raises."""
        return self._opened().manifest(digest)

    def blob(self, descriptor: Descriptor) -> Generator[bytes, None, None]:
        """See DockerArchiveOrigin."""
        return self._opened().blob(descriptor)

    def _opened(self) -> DockerArchiveOrigin:
        with self._lock:
            if self._archive is None:
                self._archive = self._fetch()
            return self._archive

    def _fetch(self) -> DockerArchiveOrigin:
        with contextlib.ExitStack() as stack:
            spool = stack.enter_context(Spool(spool_directory()))
            part = spool.put(self._engine.save(self._source.asked))
            # An origin has no end of its own; the file goes with it.
            weakref.finalize(self, stack.pop_all().close)
        source = DockerArchiveSource(path=self.description, reference=self._source.reference)
        return DockerArchiveOrigin(source, ArchiveFiles(self.description, part.fd))


class DockerDaemonDestination(SpooledDestination[DockerArchiveWriter]):
    """The engine, to load one image into; a layer is uncompressed when it is taken."""

    def __init__(self, source: DockerDaemonSource, engine: DockerEngine) -> None:
        super().__init__(str(source), DockerArchiveWriter(spool_directory()))
        self._source = source
        self._engine = engine

    def put_manifest(self, manifest: RawManifest) -> None:
        """The engine takes no manifests; the image is made by finish()."""

    def finish(self, manifest: RawManifest) -> None:
        """Load the image into the engine. Raises EngineError, AtomicSysError, OSError."""
        self._writer.add(single(self.description, manifest), tags_of(self._source.reference))
        members = self._writer.members()
        self._engine.load(tar_size(members), tar_chunks(members))
