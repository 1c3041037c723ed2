# SPDX-License-Identifier: LGPL-2.1-or-later
"""The store: layers and images in an OSTree repository.

A ref is written only after all that it names is on the disk, an image's after those of its layers.
Importing and checking out hold the repository's lock shared, pruning holds it exclusively.
"""

import contextlib
import os
from collections.abc import Callable, Collection, Iterator
from dataclasses import replace
from typing import Self

from atomic_sys.errors import AtomicSysError, Busy, Damaged, NotFound
from atomic_sys.fs.lock import LockKind
from atomic_sys.model.digest import Digest
from atomic_sys.model.layer import LayerStream
from atomic_sys.model.reference import ImageName, InvalidReference
from atomic_sys.store import images, ingest, prune, rootfs
from atomic_sys.store.checkout import Content, check_out
from atomic_sys.store.commits import documents, store_commit
from atomic_sys.store.images import (
    DamagedImage,
    ImageToStore,
    LayerImport,
    LayerReport,
    StoredImage,
    Survey,
)
from atomic_sys.store.integrity import ObjectHasher, ObjectName, is_intact
from atomic_sys.store.objects import Checksum, Commit
from atomic_sys.store.prune import PruneReport
from atomic_sys.store.recovery import recover, stale_marks
from atomic_sys.store.repository import Mode, Repository, object_path
from atomic_sys.store.skeleton import SkeletonWriter
from atomic_sys.store.transaction import Transaction
from atomic_sys.store.view import Tree

DEFAULT_TIMEOUT = 30.0  # seconds to wait for the lock
_DOCUMENT_LIMIT = 16 << 20  # bytes of a config blob or of a signature


class Store:
    """An open store; `timeout` is how many seconds to wait for its lock."""

    def __init__(self, repository: Repository, *, timeout: float = DEFAULT_TIMEOUT) -> None:
        self.repository = repository
        self.timeout = timeout
        self._held = 0
        self._latest: Tree | None = None  # the root file system that was stored or read last

    @classmethod
    def open(cls, dfd: int, name: str, *, timeout: float = DEFAULT_TIMEOUT) -> Self:
        """Open the store in the repository `name` below `dfd`.

        Raises InvalidRepository, OSError.
        """
        return cls(Repository.open(dfd, name), timeout=timeout)

    @classmethod
    def create(cls, dfd: int, name: str, *, timeout: float = DEFAULT_TIMEOUT) -> Self:
        """The same, making it where there is none: mode `bare` for root, else `bare-user`."""
        mode = Mode.BARE if os.geteuid() == 0 else Mode.BARE_USER
        return cls(Repository.create(dfd, name, mode), timeout=timeout)

    def close(self) -> None:
        """Give the descriptors back."""
        self.repository.close()

    @contextlib.contextmanager
    def in_use(self) -> Iterator[None]:
        """Keep others from pruning for the length of the block: a pull holds it from end to end.

        What an interrupted import left is dealt with first. Raises Busy, OSError.
        """
        if not self._held and stale_marks(self.repository):
            with self.repository.locked(LockKind.EXCLUSIVE, self.timeout):
                self._latest = None
                recover(self.repository)
        with self.repository.locked(LockKind.SHARED, self.timeout):
            self._held += 1
            try:
                yield
            finally:
                self._held -= 1

    def has_layer(self, digest: Digest) -> bool:
        """Whether the layer with this blob digest is here, with its commit."""
        return self._commit_of(images.blob_ref(digest)) is not None

    def _commit_of(self, ref: str) -> tuple[Checksum, Commit] | None:
        return rootfs.commit_of(self.repository, ref)

    def import_layer(
        self, layer: LayerImport, stream: LayerStream, skeleton: SkeletonWriter | None = None
    ) -> LayerReport:
        """Import a layer from a stream that verifies itself, and name it when it has ended well.

        When the stream raises, nothing is named. Raises InvalidLayer, ContentMismatch, Busy,
        OSError, and whatever the stream raises.
        """
        with self.in_use(), Transaction.open(self.repository) as transaction:
            return ingest.import_layer(transaction, layer, stream, skeleton)

    def put_image(self, image: ImageToStore) -> StoredImage:
        """Store an image whose layers are here, and name it last.

        The root file system is merged once and gets a commit and a ref of its own, so that a
        deployment is the checkout of one commit, can be verified against it, and needs no second
        merge. Raises NotFound for a missing layer, InvalidLayer, Damaged, Busy, OSError.
        """
        for what, digest in (
            (image.raw_manifest, image.digest),
            (image.config, image.config_digest),
        ):
            if not digest.matches(what):
                raise Damaged(f"{digest}: the content to store does not match")
        files = {"manifest.json": image.raw_manifest}
        for number, signature in enumerate(image.signatures, 1):
            files[f"signature-{number}"] = signature
        with self.in_use(), Transaction.open(self.repository) as transaction:
            root = rootfs.stored(transaction, image.digest, image.layers)
            config = store_commit(
                transaction,
                documents(transaction, {"content": image.config}),
                {"docker.size": str(len(image.config))},
            )
            about = images.metadata_of(image)
            commit = store_commit(transaction, documents(transaction, files), about)
            transaction.commit([
                (images.blob_ref(image.config_digest), config),
                (images.rootfs_ref(image.digest), bytes.fromhex(root.commit)),
                (images.image_ref(image.name), commit),
            ])
        self._latest = root
        stored = self.image(image.name)
        if stored is None:
            raise AtomicSysError(f"image {image.name} was removed while it was stored")
        return stored

    def survey(self) -> Survey:
        """All images, sorted by their encoded names; a damaged one does not hide the others."""
        found: list[StoredImage] = []
        damaged: list[DamagedImage] = []
        for ref in self.repository.ref_names(f"refs/heads/{images.IMAGES.rstrip('/')}"):
            if images.is_blob(ref):
                continue
            name = images.decode_name(ref)
            try:
                image = self.image(name)
            except Damaged as error:
                damaged.append(DamagedImage(name=name, problem=str(error)))
            else:
                found += [] if image is None else [image]  # removed since it was listed
        return Survey(images=tuple(found), damaged=tuple(damaged))

    def images(self) -> tuple[StoredImage, ...]:
        """All images that can be read, sorted by their encoded names."""
        return self.survey().images

    def image(self, name: ImageName) -> StoredImage | None:
        """The image of exactly this name. Raises Damaged."""
        checksum = self.repository.read_ref(images.image_ref(name))
        return None if checksum is None else self._image(name, checksum)

    def _image(self, name: ImageName, checksum: Checksum) -> StoredImage:
        image = images.read_image(name, checksum, self.repository.commit(checksum))
        sizes = [self._blob_size(digest) for digest in image.layers]
        known = [size for size in sizes if size is not None]
        return replace(image, size=sum(known) if len(known) == len(sizes) else None)

    def _blob_size(self, digest: Digest) -> int | None:
        found = self._commit_of(images.blob_ref(digest))
        text = None if found is None else found[1].text("docker.size")
        return int(text) if text is not None and text.isdecimal() else None

    def find(self, text: str) -> tuple[StoredImage, ...]:
        """The image of this name, else all whose id (manifest digest) begins with it.

        Raises Damaged when the image of this name is.
        """
        with contextlib.suppress(InvalidReference):
            image = self.image(ImageName.parse(text))
            if image is not None:
                return (image,)
        prefix = text.removeprefix("sha256:")
        return tuple(
            image for image in self.images() if prefix and image.digest.hex.startswith(prefix)
        )

    def signatures(self, image: StoredImage) -> tuple[bytes, ...]:
        """The signatures that were stored with the image. Raises Damaged."""
        name = bytes.fromhex(image.commit)
        tree = self._tree((name, self.repository.commit(name)))
        found = []
        for number in range(1, image.signature_count + 1):
            content = tree.read_file(f"signature-{number}", _DOCUMENT_LIMIT)
            if content is None:
                raise Damaged(f"image {image.name}: signature {number} is not in the store")
            found.append(content)
        return tuple(found)

    def config(self, image: StoredImage) -> bytes:
        """The image's configuration, verified. Raises NotFound, Damaged."""
        digest = image.config_digest
        found = None if digest is None else self._commit_of(images.blob_ref(digest))
        if digest is None or found is None:
            raise NotFound(f"image {image.name} has no config in the store", hint="pull it again")
        content = self._tree(found).read_file("content", _DOCUMENT_LIMIT)
        if content is None or not digest.matches(content):
            raise Damaged(f"image {image.name}: its config is damaged", hint="pull it again")
        return content

    def tree(self, image: StoredImage) -> Tree:
        """The image's root file system; that of an image of the predecessor's is merged first.

        Raises NotFound for a missing layer, Damaged, Busy, OSError.
        """
        found = self._commit_of(images.rootfs_ref(image.digest))
        if found is None:
            return self.restore_rootfs(image)
        return self.rootfs(found[0].hex(), image.digest)

    def tree_below(self, image: StoredImage) -> Tree:
        """All of its layers but the last one. Raises NotFound for a missing layer, Damaged."""
        return Tree(self.repository, rootfs.merged(self.repository, image.layers[:-1]), "")

    def _tree(self, found: tuple[Checksum, Commit]) -> Tree:
        return rootfs.load(self.repository, *found)

    def rootfs(self, commit: str, digest: Digest | None = None) -> Tree:
        """The root file system that a deployment is made from: its commit, else that of its image.

        Raises NotFound when neither is here, Damaged.
        """
        if self._latest is None or self._latest.commit != commit:
            self._latest = rootfs.tree_of(self.repository, commit, digest)
        return self._latest

    def check_out(self, tree: Tree, dfd: int, name: str, content: Content = Content.LINKS) -> str:
        """Check the tree out as the new directory `name` below `dfd`; returns its commit.

        Nothing is synced. Raises as checkout.check_out() does, and Busy.
        """
        with self.in_use():
            check_out(tree, dfd, name, content)
        return tree.commit

    def restore_rootfs(self, image: StoredImage) -> Tree:
        """Merge the layers again, where the root file system lacks objects or its commit.

        Its commit stays if it is there: deployments name it. Raises NotFound for a missing layer,
        Damaged, Busy, OSError.
        """
        with self.in_use(), Transaction.open(self.repository) as transaction:
            tree = rootfs.stored(transaction, image.digest, image.layers)
            transaction.commit([(images.rootfs_ref(image.digest), bytes.fromhex(tree.commit))])
        self._latest = tree
        return tree

    def discard(self, doomed: Collection[ObjectName]) -> None:
        """Remove damaged objects, so that whole ones can take their names.

        One that somebody has made whole since it was looked at stays. Raises Busy, OSError.
        """
        with self._alone():
            hasher = ObjectHasher(self.repository)
            for name in (name for name in doomed if not is_intact(hasher, name)):
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(object_path(*name), dir_fd=self.repository.objects)

    def tag_image(self, image: StoredImage, name: ImageName) -> None:
        """Give the image one more name, which another image may have had. Raises Busy, OSError."""
        if self.repository.read_ref(images.image_ref(image.name)) is None:
            raise NotFound(f"there is no image {image.name}")
        with self.in_use(), Transaction.open(self.repository) as transaction:
            transaction.commit([(images.image_ref(name), bytes.fromhex(image.commit))])

    def delete_image(self, name: ImageName) -> None:
        """Forget a name; prune() frees what it named. Raises NotFound, Busy, OSError."""
        with self.in_use():
            if not self.repository.delete_ref(images.image_ref(name)):
                raise NotFound(f"there is no image {name}")

    def prune(self, keep: Callable[[], Collection[str]] = tuple) -> PruneReport:
        """Remove what no image, and no commit or outline in `keep()` (hex), needs.

        It is asked when nobody else uses the store. Raises Damaged, Busy, OSError.
        """
        with self._alone():
            recover(self.repository)
            return prune.prune(self.repository, keep())

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        if self._held:
            raise Busy("the store is in use by this process")
        self._latest = None
        with self.repository.locked(LockKind.EXCLUSIVE, self.timeout):
            yield
