# SPDX-License-Identifier: LGPL-2.1-or-later
"""Writing what `docker save` writes: configs as they are, layers uncompressed, a list of images.

A config keeps its bytes, so that the image keeps its id. A layer is named by its diff id, which is
computed from what is written and must be the one that the config says: an archive of other content
under an image's name never comes into being. Source: moby image/spec v1.2, "Combined Image JSON +
Filesystem Changeset Format".
"""

import hashlib
import json
import os
import threading
from collections.abc import Iterable, Iterator
from typing import Self

from atomic_sys.errors import AtomicSysError
from atomic_sys.image.decompress import decompressed
from atomic_sys.image.docker_archive import UNPACKED_LIMIT
from atomic_sys.image.origin import RawManifest
from atomic_sys.image.spooled_destination import SpooledDestination
from atomic_sys.image.tar_writer import Members, Part, Spool, split, write_archive
from atomic_sys.model import image_config
from atomic_sys.model import manifest as documents
from atomic_sys.model.digest import Digest
from atomic_sys.model.image_config import CONFIG_LIMIT
from atomic_sys.model.manifest import Descriptor, Manifest
from atomic_sys.model.reference import DockerReference
from atomic_sys.model.source import DockerArchiveSource
from atomic_sys.model.stream import ContentMismatch

_CONFIG_TYPES = (
    "application/vnd.docker.container.image.v1+json",
    "application/vnd.oci.image.config.v1+json",
)


class DockerArchiveWriter:
    """Collects images for one archive; safe for threads. Use it as a context manager."""

    def __init__(self, directory: str) -> None:
        self._spool = Spool(directory)
        self._lock = threading.Lock()
        self._configs: dict[Digest, bytes] = {}
        self._layers: dict[Digest, Digest] = {}  # blob to diff id
        self._parts: dict[Digest, Part] = {}  # by diff id
        self._images: dict[Digest, tuple[tuple[Digest, ...], list[str]]] = {}  # by config

    def __enter__(self) -> Self:
        self._spool.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._spool.__exit__()

    def has(self, blob: Digest) -> bool:
        """Whether the blob has been put already."""
        with self._lock:
            return blob in self._configs or blob in self._layers

    def put(self, blob: Descriptor, chunks: Iterable[bytes]) -> None:
        """Take a config or a layer; see Destination.put_blob."""
        if blob.media_type in _CONFIG_TYPES:
            config = _whole(chunks)
            with self._lock:
                self._configs[blob.digest] = config
            return
        hasher = hashlib.sha256()
        part = self._spool.put(_hashed(decompressed(chunks), hasher))
        diff_id = Digest("sha256", hasher.hexdigest())
        with self._lock:
            self._layers[blob.digest] = diff_id
            self._parts[diff_id] = part

    def add(self, manifest: Manifest, tags: Iterable[str]) -> None:
        """An image whose blobs were put. Raises ContentMismatch, AtomicSysError."""
        config = self._configs.get(manifest.config.digest)
        missing = [layer for layer in manifest.layers if layer.digest not in self._layers]
        if config is None or missing:
            raise AtomicSysError("not an image of which docker knows the kind: a blob is missing")
        diff_ids = tuple(self._layers[layer.digest] for layer in manifest.layers)
        if image_config.parse(config).diff_ids != diff_ids:
            raise ContentMismatch(
                f"image {manifest.config.digest}: its layers are not those that its config names"
            )
        _, names = self._images.setdefault(manifest.config.digest, (diff_ids, []))
        names += [tag for tag in tags if tag not in names]

    def members(self) -> Members:
        """The members of the archive, in the order of the images."""
        members: dict[str, Part | bytes] = {}
        listing = []
        for config, (diff_ids, tags) in self._images.items():
            for diff_id in diff_ids:
                members[f"{diff_id.hex}.tar"] = self._parts[diff_id]
            members[f"{config.hex}.json"] = self._configs[config]
            listing.append({
                "Config": f"{config.hex}.json",
                "RepoTags": tags,
                "Layers": [f"{diff_id.hex}.tar" for diff_id in diff_ids],
            })
        members["manifest.json"] = json.dumps(listing, separators=(",", ":")).encode()
        return members


class DockerArchiveDestination(SpooledDestination[DockerArchiveWriter]):
    """`docker-archive:FILE[:NAME]` to write to; a layer is uncompressed when it is taken."""

    def __init__(self, source: DockerArchiveSource) -> None:
        super().__init__(str(source), DockerArchiveWriter(split(source.path)[0]))
        self._source = source

    def put_manifest(self, manifest: RawManifest) -> None:
        """The format has no manifests; an image is added by finish()."""

    def finish(self, manifest: RawManifest) -> None:
        """Write the archive and name it. Raises AtomicSysError, OSError."""
        self._writer.add(single(self.description, manifest), tags_of(self._source.reference))
        write_archive(self._source.path, self._writer.members())


def single(where: str, manifest: RawManifest) -> Manifest:
    """The manifest of one image. Raises AtomicSysError for an index, InvalidManifest."""
    parsed = documents.parse(manifest.raw, content_type=manifest.content_type)
    if not isinstance(parsed, Manifest):
        raise AtomicSysError(
            f"{where}: it holds images for one platform only", hint="copy one instance"
        )
    return parsed


def tags_of(reference: DockerReference | None) -> tuple[str, ...]:
    """The names for RepoTags; one with a digest is no name there."""
    return () if reference is None or reference.tag is None else (short(reference),)


def short(reference: DockerReference) -> str:
    """As docker shows it: without what it would add itself."""
    return str(reference).removeprefix("docker.io/").removeprefix("library/")


def _whole(chunks: Iterable[bytes]) -> bytes:
    config = bytearray()
    for chunk in chunks:
        config += chunk
        if len(config) > CONFIG_LIMIT:
            raise AtomicSysError(f"image config is larger than the limit of {CONFIG_LIMIT} bytes")
    return bytes(config)


def _hashed(chunks: Iterable[bytes], hasher: "hashlib._Hash") -> Iterator[bytes]:
    size = 0
    for chunk in chunks:
        size += len(chunk)
        if size > UNPACKED_LIMIT:
            raise AtomicSysError(f"a layer of more than {UNPACKED_LIMIT} bytes")
        hasher.update(chunk)
        yield chunk


def spool_directory() -> str:
    """Where to keep what has no place of its own: layers are too large for /tmp in memory."""
    return os.environ.get("TMPDIR") or "/var/tmp"  # noqa: S108 - only files without a name
