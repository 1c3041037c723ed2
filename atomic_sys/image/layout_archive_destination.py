# SPDX-License-Identifier: LGPL-2.1-or-later
"""Writing `oci-archive:FILE[:TAG]`: an OCI image layout as a tar archive, every blob as it is.

Source: image-spec image-layout.md.
"""

import json
import threading
from collections.abc import Iterable
from typing import Self

from atomic_sys.image.layout import TAG
from atomic_sys.image.origin import RawManifest
from atomic_sys.image.spooled_destination import SpooledDestination
from atomic_sys.image.tar_writer import Members, Part, Spool, split, write_archive
from atomic_sys.model import manifest as documents
from atomic_sys.model.digest import Digest
from atomic_sys.model.manifest import OCI_INDEX, Descriptor
from atomic_sys.model.source import LayoutArchiveSource


class LayoutArchiveWriter:
    """Collects images for one archive; safe for threads. Use it as a context manager."""

    def __init__(self, directory: str) -> None:
        self._spool = Spool(directory)
        self._lock = threading.Lock()
        self._blobs: dict[Digest, Part | bytes] = {}
        self._index: list[dict[str, object]] = []

    def __enter__(self) -> Self:
        self._spool.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._spool.__exit__()

    def has(self, blob: Digest) -> bool:
        """Whether the blob has been put already."""
        with self._lock:
            return blob in self._blobs

    def put(self, blob: Descriptor, chunks: Iterable[bytes]) -> None:
        """Take a blob; see Destination.put_blob."""
        part = self._spool.put(chunks)
        with self._lock:
            self._blobs[blob.digest] = part

    def put_manifest(self, manifest: RawManifest) -> None:
        """Take a manifest or an index."""
        with self._lock:
            self._blobs[manifest.digest] = manifest.raw

    def add(self, manifest: RawManifest, tag: str | None) -> None:
        """Name an image. Raises InvalidManifest."""
        parsed = documents.parse(manifest.raw, content_type=manifest.content_type)
        self.put_manifest(manifest)
        self._index.append({
            "mediaType": parsed.media_type,
            "digest": str(manifest.digest),
            "size": len(manifest.raw),
            **({} if tag is None else {"annotations": {TAG: tag}}),
        })

    def members(self) -> Members:
        """The members of the archive, blobs by their digests."""
        index = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": self._index}
        blobs = {
            f"blobs/{digest.algorithm}/{digest.hex}": content
            for digest, content in sorted(self._blobs.items())
        }
        return {
            **blobs,
            "index.json": json.dumps(index, separators=(",", ":")).encode(),
            "oci-layout": b'{"imageLayoutVersion":"1.0.0"}',
        }


class LayoutArchiveDestination(SpooledDestination[LayoutArchiveWriter]):
    """`oci-archive:FILE[:TAG]` to write to, every blob as it is."""

    def __init__(self, source: LayoutArchiveSource) -> None:
        super().__init__(str(source), LayoutArchiveWriter(split(source.path)[0]))
        self._source = source

    def put_manifest(self, manifest: RawManifest) -> None:
        """Take a manifest or an index."""
        self._writer.put_manifest(manifest)

    def finish(self, manifest: RawManifest) -> None:
        """Write the archive and name it. Raises AtomicSysError, OSError."""
        self._writer.add(manifest, self._source.tag)
        write_archive(self._source.path, self._writer.members())
