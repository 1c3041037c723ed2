# SPDX-License-Identifier: LGPL-2.1-or-later
"""Images of the store into an archive: layers from the store where their bytes are wanted unpacked.

An archive of `docker save` has layers uncompressed, and those the store can make again. An OCI
archive has the blobs that the manifest names, compressed as they came: these come from where the
image was pulled from, unless the blob is the uncompressed layer itself.
"""

from collections.abc import Callable, Iterator, Sequence

from atomic_sys.errors import AtomicSysError, doing
from atomic_sys.image.docker_archive_writer import DockerArchiveWriter, tags_of
from atomic_sys.image.layout_archive_destination import LayoutArchiveWriter
from atomic_sys.image.origin import Origin, RawManifest
from atomic_sys.image.tar_writer import Members
from atomic_sys.model import manifest as documents
from atomic_sys.model.digest import Digest
from atomic_sys.model.manifest import Descriptor, Manifest
from atomic_sys.model.stream import verified
from atomic_sys.store.images import StoredImage
from atomic_sys.store.skeleton import layer_tar
from atomic_sys.store.store import Store

OriginOf = Callable[[StoredImage], Origin]


def uncompressed_layer(store: Store, digest: Digest) -> Iterator[bytes]:
    """The layer's archive, to be believed when it has ended without an error.

    Raises NotFound where the store cannot make it, ContentMismatch, Damaged.
    """
    tar = layer_tar(store.repository, digest)
    return verified(tar.chunks(), tar.diff_id, tar.size)


def docker_members(
    images: Sequence[StoredImage], store: Store, writer: DockerArchiveWriter
) -> Members:
    """The members of a docker archive of these images. Raises AtomicSysError."""
    for image in images:
        with doing(f"saving {image.name}"):
            manifest = _manifest(image)
            for layer in manifest.layers:
                if not writer.has(layer.digest):
                    writer.put(layer, uncompressed_layer(store, layer.digest))
            writer.put(manifest.config, (store.config(image),))
            writer.add(manifest, tags_of(image.name.reference))
    return writer.members()


def layout_members(
    images: Sequence[StoredImage], store: Store, writer: LayoutArchiveWriter, origin_of: OriginOf
) -> Members:
    """The members of an OCI archive of these images.

    Raises AtomicSysError, with a hint, where a blob is neither in the store nor at the source.
    """
    for image in images:
        with doing(f"saving {image.name}"):
            manifest = _manifest(image)
            for layer in manifest.layers:
                if not writer.has(layer.digest):
                    writer.put(layer, _blob(image, layer, store, origin_of))
            writer.put(manifest.config, (store.config(image),))
            # One image has its tag, as skopeo writes it; of several, the names tell them apart.
            tag = image.name.tag if len(images) == 1 else str(image.name.reference)
            raw = RawManifest.checked(image.raw_manifest, expected=image.digest, content_type=None)
            writer.add(raw, tag or None)
    return writer.members()


def _manifest(image: StoredImage) -> Manifest:
    parsed = documents.parse(image.raw_manifest)
    if not isinstance(parsed, Manifest):
        raise AtomicSysError(f"image {image.name} is an index, not an image")
    return parsed


def _blob(
    image: StoredImage, layer: Descriptor, store: Store, origin_of: OriginOf
) -> Iterator[bytes]:
    with_skeleton = _try_layer(store, layer)
    if with_skeleton is not None:
        yield from with_skeleton
        return
    try:
        yield from origin_of(image).blob(layer)
    except AtomicSysError as error:
        raise AtomicSysError(
            f"the blob {layer.digest} of {image.name} cannot be fetched again: {error}",
            hint="the store keeps layers uncompressed: save with --format docker-archive",
        ) from error


def _try_layer(store: Store, layer: Descriptor) -> Iterator[bytes] | None:
    """The layer out of the store, if the blob is not compressed."""
    try:
        tar = layer_tar(store.repository, layer.digest)
    except AtomicSysError:
        return None
    if tar.diff_id != layer.digest:
        return None
    return verified(tar.chunks(), tar.diff_id, tar.size)
