# SPDX-License-Identifier: LGPL-2.1-or-later
"""An image of the store as a source: its manifest, its config, and its layers from where they were.

The store keeps the files of a layer and not the blob, so a layer is fetched again, by digest, from
the source that the image was pulled from. `layer` is the way to one, whatever it does.
"""

import contextlib
from collections.abc import Callable, Generator

from atomic_sys.errors import AtomicSysError, NotFound
from atomic_sys.frozen import frozen
from atomic_sys.image.origin import RawManifest
from atomic_sys.model.digest import Digest
from atomic_sys.model.manifest import Descriptor
from atomic_sys.model.stream import verified
from atomic_sys.store.images import StoredImage
from atomic_sys.store.store import Store

LayerSource = Callable[[Descriptor], Generator[bytes, None, None]]


class LayerGone(AtomicSysError):
    """A layer blob that neither the store nor the image's source can give."""


@frozen
class StoredOrigin:
    """The image; safe for threads as long as `layer` is."""

    store: Store
    image: StoredImage
    layer: LayerSource

    @property
    def description(self) -> str:
        """`ostree:NAME`."""
        return f"ostree:{self.image.name}"

    def manifest(self, digest: Digest | None) -> RawManifest:
        """The manifest of the image: of an index, the store has no other instance.

        Raises NotFound for any other digest, ContentMismatch for a damaged manifest.
        """
        if digest not in (None, self.image.digest):
            raise NotFound(f"{self.description} has no manifest {digest}")
        return RawManifest.checked(
            self.image.raw_manifest, expected=self.image.digest, content_type=None
        )

    def blob(self, descriptor: Descriptor) -> Generator[bytes, None, None]:
        """The content that the descriptor promises.

        Raises LayerGone where no source gives it, Damaged, or ContentMismatch.
        """
        if descriptor.digest == self.image.config_digest:
            config = self.store.config(self.image)
            yield from verified((config,), descriptor.digest, descriptor.size)
            return
        try:
            with contextlib.closing(self.layer(descriptor)) as chunks:
                yield from chunks
        except AtomicSysError as error:
            raise LayerGone(
                f"{self.description}: the layer {descriptor.digest} cannot be had again from"
                f" {self.image.source or self.image.name}: {error}",
                hint="the store keeps files, not layers: make the source reachable again, or"
                " copy from another place that has the image",
            ) from error
