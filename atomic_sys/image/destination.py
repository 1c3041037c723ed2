# SPDX-License-Identifier: LGPL-2.1-or-later
"""What every place that images are written to can do; the counterpart of `origin`.

Blobs come first, then manifests, instances before the index that names them; signatures at any
time. The image has its name, where there is one, only when finish() has returned. Whoever leaves
without finish() leaves nothing that anybody would take for an image. Each manifest that is written
has its own media type as `content_type`.
"""

from collections.abc import Iterable
from typing import Protocol

from atomic_sys.image.origin import RawManifest
from atomic_sys.model.digest import Digest
from atomic_sys.model.manifest import Descriptor


class Destination(Protocol):
    """A place for one image, or for one index and its instances."""

    @property
    def description(self) -> str:
        """What to call it in a message."""

    def has_blob(self, blob: Descriptor) -> bool:
        """Whether the blob need not be sent: it is there, came from a neighbour, or is foreign.

        Raises AtomicSysError.
        """

    def put_blob(self, blob: Descriptor, chunks: Iterable[bytes]) -> None:
        """Write the blob; `chunks` raises unless it is what the descriptor promises.

        May be called by several threads at once, for different blobs, and again for one that
        ended with Temporary, with all its chunks. Raises AtomicSysError.
        """

    def put_manifest(self, manifest: RawManifest) -> None:
        """Write a manifest or an index, to be found by its digest. Raises AtomicSysError."""

    def put_signatures(self, digest: Digest, signatures: tuple[bytes, ...]) -> None:
        """Write the signatures of the manifest with this digest, as a `dir:` image has them.

        OpenPGP messages are plain, sigstore attachments framed.

        Raises AtomicSysError where there is no place for them; never for an empty tuple.
        """

    def finish(self, manifest: RawManifest) -> None:
        """Make everything durable and name the image, which this manifest or index is.

        Raises AtomicSysError.
        """
