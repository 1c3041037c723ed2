# SPDX-License-Identifier: LGPL-2.1-or-later
"""An image on its way into an OCI image layout: a directory, made where there is none.

Blobs have their names when they are whole; index.json is replaced at the end, from one moment to
the next and under the lock of the directory. It names the image by the tag, which another image
loses; all other images stay. Source: image-spec image-layout.md.
"""

import contextlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from typing import Self

from atomic_sys.errors import AtomicSysError
from atomic_sys.fs.atomic import read_file, write_file, write_stream
from atomic_sys.fs.directory import make_directories, open_root
from atomic_sys.fs.lock import directory_locked
from atomic_sys.image.foreign import foreign_urls
from atomic_sys.image.layout import INDEX_LIMIT, MARKER, TAG, VERSION, InvalidLayout
from atomic_sys.image.origin import RawManifest
from atomic_sys.model import manifest as documents
from atomic_sys.model import strict_json
from atomic_sys.model.digest import Digest
from atomic_sys.model.manifest import OCI_INDEX, Descriptor, Index
from atomic_sys.model.source import LayoutSource
from atomic_sys.model.strict_json import Json, as_array, as_object

_LOCK_TIMEOUT = 60.0  # seconds; the lock is held for the length of one rewrite of index.json
_MARKER_LIMIT = 4096  # bytes
_NO_SIGNATURES = "a layout cannot hold signatures"


class LayoutDestination:
    """One image, or one index with its instances; use it as a context manager."""

    def __init__(self, target: LayoutSource) -> None:
        """Make the directories that are missing. Raises InvalidLayout, also for a non-layout."""
        self._target = target
        self._closing = contextlib.ExitStack()
        with self._explained(), contextlib.ExitStack() as failing:
            os.makedirs(target.path, exist_ok=True)
            self._dfd = open_root(target.path)
            failing.callback(os.close, self._dfd)
            self._check()
            self._blobs = {
                name: make_directories(self._dfd, f"blobs/{name}") for name in ("sha256", "sha512")
            }
            self._closing = failing.pop_all()
        for fd in self._blobs.values():
            self._closing.callback(os.close, fd)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.close()

    @property
    def description(self) -> str:
        """`oci:PATH[:TAG]`."""
        return str(self._target)

    def has_blob(self, blob: Descriptor) -> bool:
        """Whether there is such a file, of the right size; a foreign layer stays away.

        Raises InvalidLayout.
        """
        if foreign_urls(blob):
            return True
        with self._explained():
            try:
                found = os.stat(
                    blob.digest.hex,
                    dir_fd=self._blobs[blob.digest.algorithm],
                    follow_symlinks=False,
                )
            except FileNotFoundError:
                return False
        return found.st_size == blob.size

    def put_blob(self, blob: Descriptor, chunks: Iterable[bytes]) -> None:
        """Write it, and name it when it is whole. Raises InvalidLayout, and what chunks raise."""
        with self._explained():
            write_stream(self._blobs[blob.digest.algorithm], blob.digest.hex, chunks)

    def put_manifest(self, manifest: RawManifest) -> None:
        """Write it as a blob. Raises InvalidLayout."""
        digest = manifest.digest
        with self._explained():
            write_file(self._blobs[digest.algorithm], digest.hex, manifest.raw)

    def put_signatures(self, digest: Digest, signatures: tuple[bytes, ...]) -> None:
        """Raises InvalidLayout: there is no place for signatures."""
        if signatures:
            raise InvalidLayout(
                f"{self.description}: {_NO_SIGNATURES}, and {digest} has {len(signatures)}",
                hint="leave them behind with --remove-signatures, or copy to dir:",
            )

    def finish(self, manifest: RawManifest) -> None:
        """Write the manifest, and name it in index.json. Raises InvalidLayout, Busy."""
        self.put_manifest(manifest)
        with (
            self._explained(),
            directory_locked(self._dfd, timeout=_LOCK_TIMEOUT, what=self.description),
        ):
            index = self._index()
            write_file(self._dfd, MARKER, json.dumps({"imageLayoutVersion": VERSION}).encode())
            write_file(self._dfd, "index.json", _named(index, manifest, self._target.tag))

    def _check(self) -> None:
        """Raises InvalidLayout unless it is a layout, or an empty directory."""
        marker = read_file(self._dfd, MARKER, _MARKER_LIMIT)
        if marker is None:
            if set(os.listdir(self._dfd)) - {"blobs"}:  # what a copy that failed has made
                raise InvalidLayout(f"{self._target.path} is neither a layout nor empty")
            return
        body = as_object(strict_json.loads(marker, MARKER), MARKER)
        if body.get("imageLayoutVersion") != VERSION:
            version = body.get("imageLayoutVersion")
            raise InvalidLayout(f"{self.description}: unknown layout version {version!r}")

    def _index(self) -> dict[str, Json]:
        """index.json as it is now, or an empty one."""
        document = read_file(self._dfd, "index.json", INDEX_LIMIT)
        if document is None:
            return {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": []}
        if not isinstance(documents.parse(document), Index):
            raise InvalidLayout(f"{self.description}: index.json is not an index")
        return dict(as_object(strict_json.loads(document, "index.json"), "index.json"))

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise InvalidLayout(f"cannot write {self.description}: {error.strerror}") from error


def _named(index: dict[str, Json], manifest: RawManifest, tag: str | None) -> bytes:
    """The index with this manifest under the tag; without a tag, beside all others."""
    entry: dict[str, Json] = {
        "mediaType": manifest.content_type or "",
        "digest": str(manifest.digest),
        "size": len(manifest.raw),
    }
    if tag is not None:
        entry["annotations"] = {TAG: tag}
    kept = [
        other
        for other in as_array(index.get("manifests"), "manifests")
        if not _gives_way(as_object(other, "an entry"), str(manifest.digest), tag)
    ]
    document = json.dumps(index | {"manifests": [*kept, entry]}, ensure_ascii=False).encode()
    if len(document) > INDEX_LIMIT:
        raise AtomicSysError(f"index.json would be larger than the limit of {INDEX_LIMIT} bytes")
    return document


def _gives_way(other: Mapping[str, Json], digest: str, tag: str | None) -> bool:
    """Whether the new entry takes the place of the other one: the same tag, or the same image."""
    annotations = other.get("annotations")
    named = annotations.get(TAG) if isinstance(annotations, dict) else None
    return named == tag if tag is not None else named is None and other.get("digest") == digest
