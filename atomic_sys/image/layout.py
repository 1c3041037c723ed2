# SPDX-License-Identifier: LGPL-2.1-or-later
"""An image of an OCI image layout: oci-layout, index.json and blobs/, in a directory or an archive.

The index is read anew for each manifest() without a digest; everything else goes by digest.
Source: image-spec image-layout.md.
"""

import contextlib
from collections.abc import Generator, Iterator

from atomic_sys.errors import AtomicSysError
from atomic_sys.image.archive import ArchiveFiles
from atomic_sys.image.files import DirectoryFiles, Files, InvalidFile, chunks_of
from atomic_sys.image.origin import RawManifest
from atomic_sys.model import manifest as documents
from atomic_sys.model import strict_json
from atomic_sys.model.digest import Digest
from atomic_sys.model.manifest import MANIFEST_LIMIT, Descriptor, Index
from atomic_sys.model.source import LayoutArchiveSource, LayoutSource
from atomic_sys.model.stream import Reader, read_limited, verified
from atomic_sys.model.strict_json import as_object

INDEX_LIMIT = 4 << 20  # bytes
TAG = "org.opencontainers.image.ref.name"
MARKER = "oci-layout"
VERSION = "1.0.0"
_MARKER_LIMIT = 4096  # bytes of the file oci-layout


class InvalidLayout(AtomicSysError):
    """Something that is no image layout, or has not what it should have."""


class LayoutOrigin:
    """One image of a layout; safe for threads, since every call opens what it needs."""

    def __init__(
        self, source: LayoutSource | LayoutArchiveSource, files: Files | None = None
    ) -> None:
        self._source = source
        self._files: Files = files or (
            DirectoryFiles(source.path)
            if isinstance(source, LayoutSource)
            else ArchiveFiles(source.path)
        )

    @property
    def description(self) -> str:
        """The source, as the user would write it."""
        return str(self._source)

    def manifest(self, digest: Digest | None) -> RawManifest:
        """The manifest with this digest, or the one that the tag names in index.json.

        Raises InvalidLayout, InvalidArchive, TooLarge, or ContentMismatch.
        """
        self._check_version()
        if digest is not None:
            with self._blob_file(digest) as stream:
                raw = read_limited(stream, MANIFEST_LIMIT, f"manifest {digest}")
            return RawManifest.checked(raw, expected=digest, content_type=None)
        chosen = self._chosen()
        with self._blob_file(chosen.digest) as stream:
            raw = read_limited(stream, MANIFEST_LIMIT, f"manifest {chosen.digest}")
        if len(raw) != chosen.size:
            raise InvalidLayout(
                f"{self.description}: manifest {chosen.digest} has {len(raw)} bytes,"
                f" the index says {chosen.size}"
            )
        return RawManifest.checked(raw, expected=chosen.digest, content_type=chosen.media_type)

    def tagged(self, tag: str) -> RawManifest | None:
        """The manifest under another tag of the layout, or None where there is none.

        Raises InvalidLayout for several, and as manifest().
        """
        self._check_version()
        entries = [e for e in self._index().manifests if e.annotations.get(TAG) == tag]
        if not entries:
            return None
        if len(entries) > 1:
            raise InvalidLayout(f"{self.description}: {len(entries)} images with the tag {tag}")
        return self.manifest(entries[0].digest)

    def blob(self, descriptor: Descriptor) -> Generator[bytes, None, None]:
        """The content that the descriptor promises.

        Raises InvalidLayout, InvalidArchive, or ContentMismatch.
        """
        self._check_version()
        with self._blob_file(descriptor.digest) as stream:
            yield from verified(chunks_of(stream), descriptor.digest, descriptor.size)

    def _check_version(self) -> None:
        with self._file(MARKER, MARKER) as stream:
            marker = read_limited(stream, _MARKER_LIMIT, MARKER)
        body = as_object(strict_json.loads(marker, MARKER), MARKER)
        version = body.get("imageLayoutVersion")
        if version != VERSION:
            raise InvalidLayout(f"{self.description}: unknown layout version {version!r}")

    def tags(self) -> tuple[str | None, ...]:
        """The tags of index.json, None for an image without one. Raises what manifest() does."""
        self._check_version()
        return tuple(entry.annotations.get(TAG) for entry in self._index().manifests)

    def _index(self) -> Index:
        with self._file("index.json", "index.json") as stream:
            document = read_limited(stream, INDEX_LIMIT, "index.json")
        index = documents.parse(document)
        if not isinstance(index, Index):
            raise InvalidLayout(f"{self.description}: index.json is not an index")
        return index

    def _chosen(self) -> Descriptor:
        """The one entry of index.json with the tag; without a tag, its only entry."""
        index = self._index()
        tag = self._source.tag
        entries = [e for e in index.manifests if tag is None or e.annotations.get(TAG) == tag]
        if len(entries) == 1:
            return entries[0]
        if entries and tag is not None:
            raise InvalidLayout(f"{self.description}: {len(entries)} images with this tag")
        tags = sorted({e.annotations.get(TAG, "(no tag)") for e in index.manifests})
        there = f"there is: {', '.join(tags)[:1000]}" if tags else "the layout is empty"
        prefix = str(self._source).removesuffix(f":{tag}")
        raise InvalidLayout(
            f"{self.description}: " + ("no such tag; " if tag else "which image? ") + there,
            hint=f"name one: {prefix}:TAG" if tags else None,
        )

    def _blob_file(self, digest: Digest) -> contextlib.AbstractContextManager[Reader]:
        return self._file(f"blob {digest}", "blobs", digest.algorithm, digest.hex)

    @contextlib.contextmanager
    def _file(self, what: str, *path: str) -> Iterator[Reader]:
        with contextlib.ExitStack() as stack:
            try:
                stream = stack.enter_context(self._files.open(*path))
            except InvalidFile as error:
                raise InvalidLayout(f"{self.description}: {what}: {error}") from error
            yield stream
