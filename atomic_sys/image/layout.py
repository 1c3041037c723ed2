# SPDX-License-Identifier: LGPL-2.1-or-later
"""An image of an OCI image layout: a directory with oci-layout, index.json and blobs/.

Below the directory no symbolic link is followed and nothing but regular files is read. The index is
read anew for each manifest() without a digest; everything else goes by digest.
Source: image-spec image-layout.md.
"""

import contextlib
import os
import stat
from collections.abc import Generator, Iterator
from typing import BinaryIO

from atomic_sys.errors import AtomicSysError
from atomic_sys.fs.directory import opened
from atomic_sys.image.origin import RawManifest
from atomic_sys.model import manifest as documents
from atomic_sys.model import strict_json
from atomic_sys.model.digest import Digest
from atomic_sys.model.manifest import MANIFEST_LIMIT, Descriptor, Index
from atomic_sys.model.source import LayoutSource
from atomic_sys.model.stream import read_limited, verified
from atomic_sys.model.strict_json import as_object

INDEX_LIMIT = 4 << 20  # bytes
TAG = "org.opencontainers.image.ref.name"
_VERSION = "1.0.0"
_MARKER_LIMIT = 4096  # bytes of the file oci-layout
_CHUNK = 1 << 18  # bytes
# Without O_NONBLOCK a FIFO in the place of a blob would make us wait for ever.
_FILE = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK


class InvalidLayout(AtomicSysError):
    """A directory that is no image layout, or has not what it should have."""


class LayoutOrigin:
    """One image of a layout; safe for threads, since every call opens what it needs."""

    def __init__(self, source: LayoutSource) -> None:
        self._source = source

    @property
    def description(self) -> str:
        """`oci:PATH[:TAG]`."""
        return str(self._source)

    def manifest(self, digest: Digest | None) -> RawManifest:
        """The manifest with this digest, or the one that the tag names in index.json.

        Raises InvalidLayout, TooLarge, or ContentMismatch.
        """
        with self._root() as root:
            if digest is not None:
                with self._blob_file(root, digest) as stream:
                    raw = read_limited(stream, MANIFEST_LIMIT, f"manifest {digest}")
                return RawManifest.checked(raw, expected=digest, content_type=None)
            chosen = self._chosen(root)
            with self._blob_file(root, chosen.digest) as stream:
                raw = read_limited(stream, MANIFEST_LIMIT, f"manifest {chosen.digest}")
        if len(raw) != chosen.size:
            raise InvalidLayout(
                f"{self.description}: manifest {chosen.digest} has {len(raw)} bytes,"
                f" the index says {chosen.size}"
            )
        return RawManifest.checked(raw, expected=chosen.digest, content_type=chosen.media_type)

    def blob(self, descriptor: Descriptor) -> Generator[bytes, None, None]:
        """The content that the descriptor promises. Raises InvalidLayout or ContentMismatch."""
        with self._root() as root, self._blob_file(root, descriptor.digest) as stream:
            chunks = iter(lambda: stream.read(_CHUNK), b"")
            yield from verified(chunks, descriptor.digest, descriptor.size)

    @contextlib.contextmanager
    def _root(self) -> Iterator[int]:
        """The layout's directory, after a look at its version."""
        with self._explained("oci-layout"):
            root = os.open(self._source.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            with self._explained("oci-layout"), _regular(root, "oci-layout") as stream:
                marker = read_limited(stream, _MARKER_LIMIT, "oci-layout")
            body = as_object(strict_json.loads(marker, "oci-layout"), "oci-layout")
            version = body.get("imageLayoutVersion")
            if version != _VERSION:
                raise InvalidLayout(f"{self.description}: unknown layout version {version!r}")
            yield root
        finally:
            os.close(root)

    def _chosen(self, root: int) -> Descriptor:
        """The one entry of index.json with the tag; without a tag, its only entry."""
        with self._explained("index.json"), _regular(root, "index.json") as stream:
            document = read_limited(stream, INDEX_LIMIT, "index.json")
        index = documents.parse(document)
        if not isinstance(index, Index):
            raise InvalidLayout(f"{self.description}: index.json is not an index")
        tag = self._source.tag
        entries = [e for e in index.manifests if tag is None or e.annotations.get(TAG) == tag]
        if len(entries) == 1:
            return entries[0]
        if entries and tag is not None:
            raise InvalidLayout(f"{self.description}: {len(entries)} images with this tag")
        tags = sorted({e.annotations.get(TAG, "(no tag)") for e in index.manifests})
        there = f"there is: {', '.join(tags)[:1000]}" if tags else "the layout is empty"
        raise InvalidLayout(
            f"{self.description}: " + ("no such tag; " if tag else "which image? ") + there,
            hint=f"name one: oci:{self._source.path}:TAG" if tags else None,
        )

    @contextlib.contextmanager
    def _blob_file(self, root: int, digest: Digest) -> Iterator[BinaryIO]:
        with contextlib.ExitStack() as stack:
            with self._explained(f"blob {digest}"):
                blobs = stack.enter_context(opened(root, "blobs"))
                directory = stack.enter_context(opened(blobs, digest.algorithm))
                stream = stack.enter_context(_regular(directory, digest.hex))
            yield stream

    @contextlib.contextmanager
    def _explained(self, what: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise InvalidLayout(f"{self.description}: {what}: {error.strerror}") from error


@contextlib.contextmanager
def _regular(dfd: int, name: str) -> Iterator[BinaryIO]:
    """A regular file, open for reading. Raises OSError or InvalidLayout."""
    fd = os.open(name, _FILE, dir_fd=dfd)
    with os.fdopen(fd, "rb", buffering=0) as stream:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise InvalidLayout(f"{name} is not a regular file")
        yield stream
