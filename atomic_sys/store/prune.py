# SPDX-License-Identifier: LGPL-2.1-or-later
"""Removing what nothing names any more. Other users' refs and what they reach stay untouched.

The repository may be shared with libostree: every commit that any ref, local, remote or mirrored,
names stays with all its parents, as `ostree prune --refs-only` has it.
"""

import contextlib
import os
from collections.abc import Collection

from atomic_sys.errors import Damaged
from atomic_sys.frozen import frozen
from atomic_sys.fs.atomic import TEMPORARY_SUFFIX
from atomic_sys.fs.directory import open_directory
from atomic_sys.model.reference import ImageName
from atomic_sys.store.dirtree import decode_dirtree
from atomic_sys.store.images import (
    IMAGES,
    OUTLINES,
    REMOTES,
    ROOTFS,
    TARS,
    StoredImage,
    blob_ref,
    decode_name,
    is_blob,
    outline_ref,
    read_image,
    rootfs_ref,
    tar_ref,
)
from atomic_sys.store.integrity import objects
from atomic_sys.store.objects import Checksum, ObjectKind, decode_commit
from atomic_sys.store.partial import forget_partial
from atomic_sys.store.repository import OWN, Repository, object_path


@frozen
class PruneReport:
    """What was removed; `freed` is in bytes and does not count files that checkouts still hold."""

    refs: int
    objects: int
    freed: int


def prune(repository: Repository, keep: Collection[str]) -> PruneReport:
    """Remove refs that no image needs, then objects that no ref reaches.

    `keep` are hex checksums of commits, such as those of deployments, whose refs stay, and of the
    manifests of outlined images that stay too. The caller holds the lock exclusively. Raises
    Damaged, before anything is removed, when an image cannot be read, and OSError.
    """
    needed = _needed_refs(repository) | _needed_remotely(repository, keep)
    doomed = [
        ref
        for ref, commit in repository.refs()
        if ref.startswith((IMAGES, ROOTFS, TARS, OUTLINES, REMOTES))
        and _is_ours(ref)
        and ref not in needed
        and commit.hex() not in keep
    ]
    reachable = reachable_objects(repository, without=doomed, keep=keep)
    for ref in doomed:
        repository.delete_ref(ref)
    count, freed = _sweep(repository, reachable)
    forget_partial(repository)
    _remove_temporary_files(repository)
    return PruneReport(refs=len(doomed), objects=count, freed=freed)


def reachable_objects(
    repository: Repository, *, without: Collection[str] = (), keep: Collection[str] = ()
) -> Collection[tuple[ObjectKind, Checksum]]:
    """What any ref reaches, but for these local ones, and any commit in `keep` (hex) that is here.

    Raises Damaged, OSError.
    """
    reachable = _Reachable(repository)
    for text in keep:
        with contextlib.suppress(ValueError, Damaged):  # of a damaged one, what is there stays
            reachable.add_commit(bytes.fromhex(text))
    dropped = set(without)
    for ref, commit in repository.refs():
        if ref not in dropped:
            reachable.add_commit(commit)
    for below in ("refs/remotes", "refs/mirrors"):
        for _, commit in repository.refs(below):
            reachable.add_commit(commit)
    return reachable.found


def _is_ours(ref: str) -> bool:
    return is_blob(ref.rpartition("/")[2])


def _needed_refs(repository: Repository) -> set[str]:
    """The refs of layers, configs and root file systems that the images name."""
    needed: set[str] = set()
    for ref, name in repository.refs():
        if not ref.startswith(IMAGES) or _is_ours(ref):
            continue
        image = _read(repository, decode_name(ref.removeprefix(IMAGES)), name)
        needed.update(blob_ref(layer) for layer in image.layers)
        needed.update(tar_ref(layer) for layer in image.layers)
        needed.add(rootfs_ref(image.digest))
        if image.config_digest is not None:
            needed.add(blob_ref(image.config_digest))
    return needed


def _needed_remotely(repository: Repository, keep: Collection[str]) -> set[str]:
    """The refs of the images whose files are elsewhere, and that are to be kept."""
    needed: set[str] = set()
    for ref, commit in repository.refs(f"refs/heads/{REMOTES.rstrip('/')}"):
        if ref not in keep:
            continue
        image = _read(repository, ImageName(ref), commit)
        needed.update((f"{REMOTES}{ref}", f"{ROOTFS}{ref}"))
        needed.update(outline_ref(layer) for layer in image.layers)
        if image.config_digest is not None:
            needed.add(blob_ref(image.config_digest))
    return needed


def _read(repository: Repository, name: ImageName, commit: Checksum) -> StoredImage:
    """The image. What a damaged one needs is not known, so nothing may be removed then."""
    try:
        return read_image(name, commit, repository.commit(commit))
    except Damaged as error:
        raise Damaged(
            f"the image {name} is damaged, so nothing is removed: {error}",
            hint=f"pull it again, or: atomic images delete {name}",
        ) from None


class _Reachable:
    """Collects what commits reach; an object that is not there reaches nothing."""

    def __init__(self, repository: Repository) -> None:
        self.repository = repository
        self.found: set[tuple[ObjectKind, Checksum]] = set()

    def _enter(self, kind: ObjectKind, name: Checksum) -> bytes | None:
        """The object when it is there and seen for the first time."""
        if (kind, name) in self.found or not self.repository.has(kind, name):
            return None
        self.found.add((kind, name))
        return self.repository.read_metadata(kind, name)

    def add_commit(self, name: Checksum) -> None:
        content = self._enter(ObjectKind.COMMIT, name)
        while content is not None:
            commit = decode_commit(content)
            self.found.add((ObjectKind.DIRMETA, commit.root_metadata))
            self._add_tree(commit.root_tree)
            content = self._enter(ObjectKind.COMMIT, commit.parent) if commit.parent else None

    def _add_tree(self, name: Checksum) -> None:
        todo = [name]
        while todo:
            content = self._enter(ObjectKind.DIRTREE, todo.pop())
            if content is None:
                continue
            tree = decode_dirtree(content)
            self.found.update((ObjectKind.FILE, file) for _, file in tree.files)
            self.found.update((ObjectKind.DIRMETA, meta) for _, _, meta in tree.directories)
            todo.extend(below for _, below, _ in tree.directories)


def _sweep(
    repository: Repository, reachable: Collection[tuple[ObjectKind, Checksum]]
) -> tuple[int, int]:
    count = freed = 0
    order = list(ObjectKind)
    doomed = [item for item in objects(repository) if item not in reachable]
    # Commits go first, then trees: a crash leaves content that nothing names, never the reverse.
    for kind, name in sorted(doomed, key=lambda item: -order.index(item[0])):
        path = object_path(kind, name)
        info = os.stat(path, dir_fd=repository.objects, follow_symlinks=False)
        os.unlink(path, dir_fd=repository.objects)
        count += 1
        freed += info.st_blocks * 512 if info.st_nlink == 1 else 0
    return count, freed


def _remove_temporary_files(repository: Repository) -> None:
    """Ours, of processes that were killed: nobody else is here, the lock is exclusive.

    The configuration of a repository is written beside its directories, what we have counted in our
    own, all else in tmp/.
    """
    for directory, beginnings in (
        (".", (".config.",)), ("tmp", (".object.", ".link.", ".ref.")), (OWN, (".sizes.json.",))
    ):  # fmt: skip
        try:
            fd = open_directory(repository.fd, directory)
        except FileNotFoundError:
            continue
        try:
            for name in os.listdir(fd):
                if name.startswith(beginnings) and name.endswith(TEMPORARY_SUFFIX):
                    os.unlink(name, dir_fd=fd)
        finally:
            os.close(fd)
