# SPDX-License-Identifier: LGPL-2.1-or-later
"""An image of a `dir:`, skopeo's plain directory: manifest.json, and blobs by their hex digits.

Source: containers-transports(5), "dir:path"; its instances are HEX.manifest.json.
"""

import contextlib
from collections.abc import Generator, Iterator

from atomic_sys.errors import AtomicSysError
from atomic_sys.image.files import DirectoryFiles, InvalidFile, chunks_of
from atomic_sys.image.origin import RawManifest
from atomic_sys.model.digest import Digest
from atomic_sys.model.manifest import MANIFEST_LIMIT, Descriptor
from atomic_sys.model.source import DirectorySource
from atomic_sys.model.stream import Reader, read_limited, verified

MANIFEST = "manifest.json"
VERSION = b"Directory Transport Version: 1."
VERSION_LIMIT = 4096  # bytes of the file version


class InvalidDirectory(AtomicSysError):
    """A directory that is no image."""


class DirectoryOrigin:
    """The image of a directory; safe for threads, since every call opens what it needs."""

    def __init__(self, source: DirectorySource) -> None:
        self._source = source
        self._files = DirectoryFiles(source.path)

    @property
    def description(self) -> str:
        """`dir:PATH`."""
        return str(self._source)

    def manifest(self, digest: Digest | None) -> RawManifest:
        """The manifest with this digest, or the one of the directory.

        Raises InvalidDirectory, TooLarge, or ContentMismatch.
        """
        with self._file("version") as stream:
            version = read_limited(stream, VERSION_LIMIT, "version")
        if not version.startswith(VERSION):
            raise InvalidDirectory(f"{self.description}: unknown version {version[:80]!r}")
        name = MANIFEST if digest is None else f"{digest.hex}.{MANIFEST}"
        with self._file(name) as stream:
            raw = read_limited(stream, MANIFEST_LIMIT, name)
        return RawManifest.checked(raw, expected=digest, content_type=None)

    def blob(self, descriptor: Descriptor) -> Generator[bytes, None, None]:
        """The content that the descriptor promises. Raises InvalidDirectory or ContentMismatch."""
        with self._file(descriptor.digest.hex) as stream:
            yield from verified(chunks_of(stream), descriptor.digest, descriptor.size)

    @contextlib.contextmanager
    def _file(self, name: str) -> Iterator[Reader]:
        with contextlib.ExitStack() as stack:
            try:
                stream = stack.enter_context(self._files.open(name))
            except InvalidFile as error:
                raise InvalidDirectory(f"{self.description}: {error}") from error
            yield stream
