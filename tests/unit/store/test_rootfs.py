# SPDX-License-Identifier: LGPL-2.1-or-later
"""The commits of merged trees, which deployments name: they stay as long as one of these does."""

import itertools
from types import SimpleNamespace

import pytest

from atomic_sys.errors import NotFound
from atomic_sys.image.layer import read_layer
from atomic_sys.store.commits import store_commit
from atomic_sys.store.images import StoredImage, rootfs_ref
from atomic_sys.store.store import Store
from atomic_sys.store.transaction import Transaction
from tests.support import layers
from tests.support.layers import directory, file

A = [directory("d"), file("d/f", b"content")]


@pytest.fixture(autouse=True)
def _years(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each commit is made a year after the one before."""
    years = itertools.count(1 << 30, 1 << 25)
    monkeypatch.setattr("atomic_sys.store.commits.time", SimpleNamespace(time=years.__next__))


def put(store: Store) -> StoredImage:
    about = layers.layer_import(A)
    if not store.has_layer(about.digest):
        store.import_layer(about, read_layer([layers.archive(A)], diff_id=about.diff_id))
    return store.put_image(layers.image("a", [about]))


def test_a_merged_tree_has_one_commit_whoever_makes_it(store: Store) -> None:
    commit = store.tree(put(store)).commit
    assert store.tree(put(store)).commit == commit
    store.delete_image(put(store).name)
    store.prune()
    assert store.tree(put(store)).commit == commit
    assert store.restore_rootfs(put(store)).commit == commit


def test_a_commit_that_is_there_stays_though_it_has_a_date(store: Store) -> None:
    image = put(store)
    with Transaction.open(store.repository) as transaction:
        dated = store_commit(transaction, store.tree(image).root, {})
        transaction.commit([(rootfs_ref(image.digest), dated)])
    assert put(store).digest == image.digest
    assert Store(store.repository).tree(image).commit == dated.hex()


def test_what_is_kept_stays_without_a_ref(store: Store) -> None:
    image = put(store)
    commit = store.tree(image).commit
    store.repository.delete_ref(rootfs_ref(image.digest))
    store.delete_image(image.name)
    store.prune(lambda: [commit, "no commit", "ab", "0" * 64])
    assert store.rootfs(commit).read_file("d/f", 99) == b"content"
    store.prune()
    with pytest.raises(NotFound):
        Store(store.repository).rootfs(commit)
