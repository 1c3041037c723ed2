# SPDX-License-Identifier: LGPL-2.1-or-later
"""The root file system of an image: its layers merged in memory, with a commit of its own."""

import contextlib
from collections.abc import Callable
from functools import partial

from atomic_sys.errors import Damaged, NotFound
from atomic_sys.model.digest import Digest
from atomic_sys.store.commits import TreeReader, load_layer, store_commit, store_tree
from atomic_sys.store.images import StoredImage, blob_ref, rootfs_ref
from atomic_sys.store.merge import merge
from atomic_sys.store.objects import Checksum, Commit
from atomic_sys.store.repository import Repository
from atomic_sys.store.transaction import Transaction
from atomic_sys.store.tree import IMPLIED, Directory, ReadLink
from atomic_sys.store.view import Tree


def commit_of(repository: Repository, ref: str) -> tuple[Checksum, Commit] | None:
    """The commit that a ref names; one that is damaged is as good as not there."""
    name = repository.read_ref(ref)
    try:
        return None if name is None else (name, repository.commit(name))
    except Damaged:
        return None


def merged(repository: Repository, layers: tuple[Digest, ...]) -> Directory:
    """The layers upon one another, base first. Raises NotFound, InvalidLayer, Damaged."""

    def find(digest: Digest) -> Commit | None:
        found = commit_of(repository, blob_ref(digest))
        return None if found is None else found[1]

    return merge_all(repository, layers, find, partial(_link, repository))


def merge_all(
    repository: Repository,
    layers: tuple[Digest, ...],
    find: Callable[[Digest], Commit | None],
    read_link: ReadLink,
) -> Directory:
    """The layers that `find` gives upon one another. Raises as merged() does."""
    root = Directory(IMPLIED)
    reader = TreeReader(repository)
    for digest in layers:
        commit = find(digest)
        if commit is None:
            raise NotFound(f"layer {digest} is not in the store", hint="pull the image again")
        merge(root, load_layer(reader, commit), read_link)
    return root


def _link(repository: Repository, content: Checksum) -> str | None:
    return repository.content_info(content).target


def restore(transaction: Transaction, image: StoredImage) -> None:
    """Store what the merged tree lacks; a commit that is there and says the same stays."""
    repository, ref = transaction.repository, rootfs_ref(image.digest)
    root = merged(repository, image.layers)
    trees = store_tree(transaction, root)
    found = commit_of(repository, ref)
    if found is not None and (found[1].root_tree, found[1].root_metadata) == trees:
        transaction.commit([])
    else:
        transaction.commit([(ref, store_commit(transaction, root, {}))])


def tree_of(repository: Repository, commit: str, digest: Digest) -> Tree:
    """The tree of this commit (hex), else that of the image with this manifest digest.

    Raises NotFound when neither is here, Damaged.
    """
    with contextlib.suppress(Damaged):
        return Tree(
            repository,
            TreeReader(repository).load(repository.commit(bytes.fromhex(commit))),
            commit,
        )
    found = commit_of(repository, rootfs_ref(digest))
    if found is None:
        raise NotFound(f"the root file system of {digest} is not in the store")
    return Tree(repository, TreeReader(repository).load(found[1]), found[0].hex())
