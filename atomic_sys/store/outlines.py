# SPDX-License-Identifier: LGPL-2.1-or-later
"""Outlines: images of which the store has everything but the content of their files.

A container whose root file system is elsewhere (`install --rootfs`) needs no second copy of it, but
it has to be known what those files must be. The outline of a layer (`ocioutline/HEX`) is its commit
without the contents; merged as layers are, they give the tree of the image (`ocirootfs/HEX`), in
which each file has its checksum. Both are partial commits, as libostree calls them. `ociremote/HEX`
has the manifest and its signatures, so that the image can be judged again.
"""

import contextlib
import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from atomic_sys.errors import AtomicSysError, Damaged
from atomic_sys.fs.directory import open_directory
from atomic_sys.model.digest import Digest
from atomic_sys.model.layer import LayerPath, LayerStream, Metadata
from atomic_sys.model.reference import ImageName
from atomic_sys.store import images, ingest, rootfs
from atomic_sys.store.commits import TreeReader, documents, store_commit, store_partial_commit
from atomic_sys.store.images import ImageToStore, LayerImport, LayerReport, StoredImage
from atomic_sys.store.ingest import Outlining
from atomic_sys.store.integrity import ObjectHasher, xattrs
from atomic_sys.store.objects import Checksum, Commit, ObjectKind
from atomic_sys.store.repository import Mode, Repository
from atomic_sys.store.store import Store
from atomic_sys.store.transaction import Transaction

_CHUNK = 1 << 20  # bytes


@dataclass(frozen=True, slots=True)
class Outlines:
    """The outlines of a store."""

    store: Store

    @property
    def _repository(self) -> Repository:
        return self.store.repository

    def has_layer(self, digest: Digest) -> bool:
        """Whether the layer with this blob digest is here, as an outline or as a whole."""
        return self._layer(digest) is not None

    def _layer(self, digest: Digest) -> Commit | None:
        for ref in (images.blob_ref(digest), images.outline_ref(digest)):
            if (found := rootfs.commit_of(self._repository, ref)) is not None:
                return found[1]
        return None

    def import_layer(self, layer: LayerImport, stream: LayerStream) -> LayerReport:
        """Outline a layer from a stream that verifies itself, and name it when it has ended well.

        Raises as Store.import_layer() does.
        """
        with self.store.in_use(), Outlining.open(self._repository) as transaction:
            return ingest.outline_layer(transaction, layer, stream)

    def put(self, image: ImageToStore) -> StoredImage:
        """Store an image whose layers are outlined, and name it last.

        A root file system that is here stays: it may be whole. Raises NotFound for a missing layer,
        InvalidLayer, Damaged, Busy, OSError.
        """
        files = {"manifest.json": image.raw_manifest}
        for number, signature in enumerate(image.signatures, 1):
            files[f"signature-{number}"] = signature
        with self.store.in_use(), Transaction.open(self._repository) as transaction:
            config = store_commit(
                transaction,
                documents(transaction, {"content": image.config}),
                {"docker.size": str(len(image.config))},
            )
            about = images.metadata_of(image) | {images.NAME_KEY: image.name.value}
            commit = store_commit(transaction, documents(transaction, files), about)
            transaction.commit([
                (images.blob_ref(image.config_digest), config),
                (images.rootfs_ref(image.digest), self._rootfs(transaction, image)),
                (images.remote_ref(image.digest), commit),
            ])
        stored = self.image(image.digest)
        if stored is None:
            raise AtomicSysError(f"image {image.name} was removed while it was stored")
        return stored

    def _rootfs(self, transaction: Transaction, image: ImageToStore) -> Checksum:
        found = rootfs.commit_of(self._repository, images.rootfs_ref(image.digest))
        if found is not None and self._is_readable(found[1]):
            return found[0]
        root = rootfs.merge_all(self._repository, image.layers, self._layer, self._link)
        return store_partial_commit(transaction, root, {images.OUTLINE_KEY: ""})

    def _is_readable(self, commit: Commit) -> bool:
        try:
            TreeReader(self._repository).load(commit)
        except Damaged:
            return False
        return True

    def _link(self, content: Checksum) -> str | None:
        if not self._repository.has(ObjectKind.FILE, content):
            return None  # links are always here
        return self._repository.content_info(content).target

    def take(self, files: Iterable[tuple[LayerPath, Checksum]], dfd: int) -> None:
        """Keep the content of these files of a tree, from a copy of it at `dfd`.

        Raises Damaged for one that is not what its checksum says, OSError.
        """
        hasher = ObjectHasher(self._repository, Mode.BARE)
        with self.store.in_use(), Transaction.open(self._repository) as transaction:
            for path, content in files:
                parent = open_directory(dfd, "/".join(path[:-1]) or ".")
                try:
                    # Before any of it is kept, and of what was kept then.
                    same = hasher.checksum(path[-1], parent)[0] == content
                    if not same or _copy(transaction, path[-1], parent) != content:
                        raise Damaged(f"/{'/'.join(path)} is not the image's file")
                finally:
                    os.close(parent)
            transaction.commit([])

    def image(self, digest: Digest) -> StoredImage | None:
        """The image with this manifest digest, if it is outlined.

        One that is damaged is as good as not there. Raises OSError.
        """
        found = rootfs.commit_of(self._repository, images.remote_ref(digest))
        root = rootfs.commit_of(self._repository, images.rootfs_ref(digest))
        name = None if found is None else found[1].text(images.NAME_KEY)
        if found is None or root is None or name is None:
            return None
        with contextlib.suppress(Damaged):
            return images.read_image(ImageName(name), *found)
        return None

    def images(self) -> Iterator[StoredImage]:
        """All outlined images that can be read. Raises OSError."""
        below = f"refs/heads/{images.REMOTES.rstrip('/')}"
        for ref in self._repository.ref_names(below):
            image = self.image(Digest.parse(f"sha256:{ref}"))
            if image is not None:
                yield image


def _copy(transaction: Transaction, name: str, dfd: int) -> Checksum:
    """Store a regular file that somebody may be writing to. Raises ContentMismatch, OSError."""
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
    with os.fdopen(os.open(name, flags, dir_fd=dfd), "rb") as stream:
        info = os.fstat(stream.fileno())
        attributes = xattrs(stream.fileno())
        metadata = Metadata(info.st_uid, info.st_gid, stat.S_IMODE(info.st_mode), attributes)
        chunks = iter(lambda: stream.read(_CHUNK), b"")
        return transaction.add_file(metadata, info.st_size, chunks)
