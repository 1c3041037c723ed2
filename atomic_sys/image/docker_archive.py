# SPDX-License-Identifier: LGPL-2.1-or-later
"""An image of a `docker-archive:`, what `docker save` writes: a config, and layers as tar archives.

It has no manifest, so one is made, the same bytes that skopeo makes: Docker's schema 2, of the
config with the digest of its bytes, and of the layers uncompressed, whose digests are the diff ids
of the config. The image's digest is that of those bytes: the same image has another one in a
registry. Layers that are compressed in the archive are uncompressed on the way.
Source: moby image/spec v1.2, "Combined Image JSON + Filesystem Changeset Format".
"""

import json
import threading
from collections.abc import Generator, Mapping

from atomic_sys.errors import AtomicSysError
from atomic_sys.frozen import frozen
from atomic_sys.image.archive import ArchiveFiles
from atomic_sys.image.decompress import decompressed, is_compressed
from atomic_sys.image.files import CHUNK, chunks_of
from atomic_sys.image.origin import RawManifest
from atomic_sys.model import image_config, strict_json
from atomic_sys.model.digest import Digest
from atomic_sys.model.image_config import CONFIG_LIMIT
from atomic_sys.model.manifest import DOCKER_MANIFEST, Descriptor
from atomic_sys.model.reference import DockerReference, InvalidReference
from atomic_sys.model.source import DockerArchiveSource
from atomic_sys.model.stream import read_limited, verified
from atomic_sys.model.strict_json import Json, as_array, as_object, as_string, as_strings

LIST_LIMIT = 4 << 20  # bytes of the archive's manifest.json
UNPACKED_LIMIT = 1 << 38  # bytes of a compressed layer when it is uncompressed
_CONFIG_TYPE = "application/vnd.docker.container.image.v1+json"
# What skopeo writes, although they are not compressed.
_LAYER_TYPE = "application/vnd.docker.image.rootfs.diff.tar.gzip"


class InvalidDockerArchive(AtomicSysError):
    """An archive that holds no image, or not the one that was asked for."""


@frozen
class _Entry:
    """An image of the archive's manifest.json: names of members, and of the image."""

    config: str
    layers: tuple[str, ...]
    tags: tuple[str, ...]


@frozen
class _Opened:
    """The image, as far as it has been read: its manifest, its config, and where its layers are."""

    manifest: bytes
    config: bytes
    layers: Mapping[Digest, str]


class DockerArchiveOrigin:
    """One image of an archive; safe for threads. The archive is looked at once."""

    def __init__(self, source: DockerArchiveSource, files: ArchiveFiles | None = None) -> None:
        self._source = source
        self._files = files or ArchiveFiles(source.path)
        self._lock = threading.Lock()
        self._opened: _Opened | None = None

    @property
    def description(self) -> str:
        """`docker-archive:FILE[:REFERENCE]`."""
        return str(self._source)

    def manifest(self, digest: Digest | None) -> RawManifest:
        """The manifest that is made for the image.

        Raises InvalidDockerArchive, InvalidArchive, InvalidFile, TooLarge, or ContentMismatch for a
        digest that it does not have.
        """
        raw = self._open().manifest
        return RawManifest.checked(raw, expected=digest, content_type=DOCKER_MANIFEST)

    def blob(self, descriptor: Descriptor) -> Generator[bytes, None, None]:
        """The config, or a layer uncompressed. Raises what manifest() does, or ContentMismatch."""
        image = self._open()
        if descriptor.digest == Digest.of(image.config):
            yield from verified((image.config,), descriptor.digest, descriptor.size)
            return
        name = image.layers.get(descriptor.digest)
        if name is None:
            raise InvalidDockerArchive(f"{self.description}: no blob {descriptor.digest}")
        with self._files.open(name) as stream:
            chunks = decompressed(chunks_of(stream))
            yield from verified(chunks, descriptor.digest, descriptor.size)

    def _open(self) -> _Opened:
        with self._lock:
            if self._opened is None:
                self._opened = self._read()
            return self._opened

    def _read(self) -> _Opened:
        entry = self._choose(_entries(self._files))
        with self._files.open(entry.config) as stream:
            config = read_limited(stream, CONFIG_LIMIT, "image config")
        diff_ids = image_config.parse(config).diff_ids
        if len(diff_ids) != len(entry.layers):
            raise InvalidDockerArchive(
                f"{self.description}: {len(entry.layers)} layers,"
                f" but {len(diff_ids)} diff ids in the config"
            )
        sizes = [self._size(name) for name in entry.layers]
        return _Opened(
            manifest=_manifest(config, diff_ids, sizes),
            config=config,
            layers=dict(zip(diff_ids, entry.layers, strict=True)),
        )

    def _choose(self, entries: tuple[_Entry, ...]) -> _Entry:
        """The one that the reference names; without a reference, the only one."""
        wanted = self._source.reference
        if wanted is None:
            found = list(entries)
        else:
            found = [entry for entry in entries if str(wanted) in map(_normal, entry.tags)]
        if len(found) == 1:
            return found[0]
        tags = ", ".join(sorted(tag for entry in entries for tag in entry.tags))[:1000]
        raise InvalidDockerArchive(
            f"{self.description}: {len(found)} images"
            f"{' of this name' if wanted else ''}; there is: {tags or 'no name'}",
            hint=f"name one: docker-archive:{self._source.path}:NAME:TAG" if tags else None,
        )

    def _size(self, name: str) -> int:
        """The size of a layer when it is not compressed, in bytes."""
        with self._files.open(name) as stream:
            if is_compressed(stream.read(CHUNK)) is None:
                return self._files.size(name)
        with self._files.open(name) as stream:
            size = 0
            for chunk in decompressed(chunks_of(stream)):
                size += len(chunk)
                if size > UNPACKED_LIMIT:
                    raise InvalidDockerArchive(
                        f"{self.description}: a layer of more than {UNPACKED_LIMIT} bytes"
                    )
        return size


def names_in(files: ArchiveFiles) -> tuple[tuple[DockerReference, ...], ...]:
    """The names of each image of the archive. Raises InvalidDockerArchive, InvalidReference."""
    return tuple(
        tuple(DockerReference.parse(tag).with_default_tag() for tag in entry.tags)
        for entry in _entries(files)
    )


def _entries(files: ArchiveFiles) -> tuple[_Entry, ...]:
    with files.open("manifest.json") as stream:
        document = read_limited(stream, LIST_LIMIT, "manifest.json")
    entries = as_array(strict_json.loads(document, "manifest.json"), "manifest.json")
    return tuple(_entry(entry) for entry in entries)


def _entry(value: Json) -> _Entry:
    body = as_object(value, "an image of manifest.json")
    return _Entry(
        config=_clean(as_string(body.get("Config"), "Config")),
        layers=tuple(_clean(name) for name in as_strings(body.get("Layers"), "Layers")),
        tags=as_strings(body.get("RepoTags"), "RepoTags"),
    )


def _clean(name: str) -> str:
    """The name of a member as the archive has it. Raises InvalidDockerArchive."""
    parts = name.split("/")
    if not all(parts) or "." in parts or ".." in parts:
        raise InvalidDockerArchive(f"manifest.json names the file {name[:255]!r}")
    return name


def _normal(tag: str) -> str:
    try:
        return str(DockerReference.parse(tag).with_default_tag())
    except InvalidReference:
        return ""


def _manifest(config: bytes, diff_ids: tuple[Digest, ...], sizes: list[int]) -> bytes:
    body = {
        "schemaVersion": 2,
        "mediaType": DOCKER_MANIFEST,
        "config": _descriptor(_CONFIG_TYPE, len(config), Digest.of(config)),
        "layers": [
            _descriptor(_LAYER_TYPE, size, diff_id)
            for diff_id, size in zip(diff_ids, sizes, strict=True)
        ],
    }
    return json.dumps(body, separators=(",", ":")).encode()


def _descriptor(media_type: str, size: int, digest: Digest) -> dict[str, object]:
    return {"mediaType": media_type, "size": size, "digest": str(digest)}
