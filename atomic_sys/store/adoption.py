# SPDX-License-Identifier: LGPL-2.1-or-later
"""Layers that are here already, packed in another way, get one more name instead of being fetched.

What a layer unpacks to is said by its diff id, which the configuration of an image demands, and
which was verified when it was imported. Layers of the predecessor are not taken: what their trees
do not say (store/commits.py) would be lost for another image too.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace

from atomic_sys.errors import Damaged
from atomic_sys.store.commits import DELTA_KEY
from atomic_sys.store.images import IMAGES, TARS, LayerImport, blob_ref, is_blob, tar_ref
from atomic_sys.store.objects import Checksum, Commit, ObjectKind, encode_commit
from atomic_sys.store.repository import Repository
from atomic_sys.store.transaction import Transaction

_DIFF_ID, _SIZE = "docker.uncompressed_digest", "docker.size"


def adopt(repository: Repository, wanted: Sequence[LayerImport]) -> frozenset[str]:
    """Name those of the layers whose content is here; the digests of these, as text.

    The caller holds the lock, shared. Raises OSError.
    """
    if not wanted:
        return frozenset()
    known = dict(_layers(repository))
    found = {str(layer.digest): layer for layer in wanted if str(layer.diff_id) in known}
    if not found:
        return frozenset()
    with Transaction.open(repository) as transaction:
        refs: list[tuple[str, Checksum]] = []
        for layer in found.values():
            encoded, commit = known[str(layer.diff_id)]
            skeleton = repository.read_ref(TARS + encoded)
            if skeleton is not None:  # first, as for a layer that is imported
                refs.append((tar_ref(layer.digest), skeleton))
            refs.append((blob_ref(layer.digest), _named(transaction, commit, layer)))
        transaction.commit(refs)
    return frozenset(found)


def _named(transaction: Transaction, commit: Commit, layer: LayerImport) -> Checksum:
    about = {**commit.metadata, _SIZE: ("s", str(layer.compressed_size))}
    again = replace(commit, metadata=about, timestamp=int(time.time()))
    return transaction.add_metadata(ObjectKind.COMMIT, encode_commit(again))


def _layers(repository: Repository) -> Iterator[tuple[str, tuple[str, Commit]]]:
    """The layers that are here by their diff ids: the last part of the ref, and the commit."""
    for encoded, name in repository.refs(f"refs/heads/{IMAGES.rstrip('/')}"):
        if not is_blob(encoded):
            continue
        try:
            commit = repository.commit(name)
        except Damaged:
            continue
        diff_id = commit.text(_DIFF_ID)
        if diff_id is not None and commit.text(DELTA_KEY) is not None:
            yield diff_id, (encoded, commit)
