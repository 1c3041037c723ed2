# SPDX-License-Identifier: LGPL-2.1-or-later
"""The root file system of an image: its layers merged in memory, with a commit of its own."""

import contextlib
from collections.abc import Callable, Sequence
from functools import partial

from atomic_sys.errors import Damaged, NotFound
from atomic_sys.model.digest import Digest
from atomic_sys.store.commits import TreeReader, load_layer, store_tree
from atomic_sys.store.images import EMPTY_KEY, blob_ref, empty_files, empty_text, rootfs_ref
from atomic_sys.store.merge import merge
from atomic_sys.store.objects import Checksum, Commit, ObjectKind, encode_commit
from atomic_sys.store.repository import Repository
from atomic_sys.store.transaction import Transaction
from atomic_sys.store.tree import IMPLIED, Directory, ReadLink
from atomic_sys.store.variant import Variant
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


def stored(transaction: Transaction, digest: Digest, layers: tuple[Digest, ...]) -> Tree:
    """The merged tree of the image with this manifest digest, with all that it takes in the store.

    Deployments name the commit, so one that is there and says the same stays; and a new one has no
    date, so that whoever else merges the layers makes the same.
    """
    repository = transaction.repository
    commits: list[Commit] = []

    def find(layer: Digest) -> Commit | None:
        found = commit_of(repository, blob_ref(layer))
        commits.extend(() if found is None else (found[1],))
        return None if found is None else found[1]

    root = merge_all(repository, layers, find, partial(_link, repository))
    trees = store_tree(transaction, root)
    empty = _all_empty(commits)
    found = commit_of(repository, rootfs_ref(digest))
    if found is not None and (found[1].root_tree, found[1].root_metadata) == trees:
        return Tree(repository, root, found[0].hex(), empty)
    about: dict[str, Variant] = {} if empty is None else {EMPTY_KEY: ("s", empty_text(empty))}
    undated = Commit(metadata=about, timestamp=0, root_tree=trees[0], root_metadata=trees[1])
    commit = transaction.add_metadata(ObjectKind.COMMIT, encode_commit(undated))
    return Tree(repository, root, commit.hex(), empty)


def _all_empty(layers: Sequence[Commit]) -> frozenset[Checksum] | None:
    """The files without content of all layers; None unless it is known of each."""
    known = [empty for layer in layers if (empty := empty_files(layer)) is not None]
    return frozenset().union(*known) if len(known) == len(layers) else None


def load(repository: Repository, name: Checksum, commit: Commit) -> Tree:
    """The tree of a commit. Raises Damaged."""
    root = TreeReader(repository).load(commit)
    return Tree(repository, root, name.hex(), empty_files(commit))


def tree_of(repository: Repository, commit: str, digest: Digest | None) -> Tree:
    """The tree of this commit (hex), else that of the image with this manifest digest, if any.

    Raises NotFound when neither is here, Damaged.
    """
    with contextlib.suppress(Damaged):
        name = bytes.fromhex(commit)
        return load(repository, name, repository.commit(name))
    found = None if digest is None else commit_of(repository, rootfs_ref(digest))
    if found is None:
        raise NotFound(f"the root file system of {digest or commit} is not in the store")
    return load(repository, *found)
