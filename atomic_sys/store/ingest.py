# SPDX-License-Identifier: LGPL-2.1-or-later
"""From a stream of layer entries to objects and one commit.

The content of a file becomes an object while it streams by; the names become a tree in memory. The
stream is believed only when it has ended without an error, so the ref comes after that.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field

from atomic_sys.model.layer import LayerStream, Metadata, Piece, RegularFile, Symlink
from atomic_sys.model.stream import ContentMismatch
from atomic_sys.store.commits import DELTA_KEY, layer_tree, store_commit, store_partial_commit
from atomic_sys.store.images import (
    EMPTY_KEY,
    OUTLINE_KEY,
    LayerImport,
    LayerReport,
    blob_ref,
    empty_text,
    outline_ref,
    tar_ref,
)
from atomic_sys.store.layer_builder import LayerBuilder
from atomic_sys.store.objects import Checksum, file_header
from atomic_sys.store.skeleton import SkeletonWriter
from atomic_sys.store.space import Watch
from atomic_sys.store.transaction import Transaction


class Outlining(Transaction):
    """A transaction that gives regular files their names, and does not keep them."""

    def add_file(self, metadata: Metadata, size: int, chunks: Iterable[Piece]) -> Checksum:
        """The name of a regular file of exactly `size` bytes. Raises ContentMismatch."""
        hasher = hashlib.sha256(file_header(metadata))
        found = 0
        for chunk in chunks:
            hasher.update(chunk)
            found += len(chunk)
        if found != size:
            raise ContentMismatch(f"a file of {found} bytes instead of {size}")
        name: Checksum = hasher.digest()
        return name


def import_layer(
    transaction: Transaction,
    layer: LayerImport,
    stream: LayerStream,
    skeleton: SkeletonWriter | None = None,
) -> LayerReport:
    """Store the layer and commit the transaction, its skeleton too if the stream fed one.

    Raises InvalidLayer, ContentMismatch, OSError, and whatever the stream raises.
    """
    read = _read(transaction, stream, Watch(transaction.repository))
    root, delta = layer_tree(transaction, read.builder.finish())
    about = {
        "docker.size": str(layer.compressed_size),
        "docker.uncompressed_digest": str(layer.diff_id),
        DELTA_KEY: delta,
        EMPTY_KEY: empty_text(transaction.empty),
    }
    if layer.uncompressed_size is not None:
        about["docker.uncompressed_size"] = str(layer.uncompressed_size())
    commit = store_commit(transaction, root, about)
    refs = [(blob_ref(layer.digest), commit)]
    if skeleton is not None:  # first, for a layer that is there is not imported again
        kept = skeleton.store(transaction, root, read.contents, read.size)
        refs.insert(0, (tar_ref(layer.digest), kept))
    transaction.commit(refs)
    return read.report(commit)


def outline_layer(transaction: Outlining, layer: LayerImport, stream: LayerStream) -> LayerReport:
    """Store the layer without the content of its files, and commit the transaction.

    Raises as import_layer() does.
    """
    read = _read(transaction, stream)
    root, delta = layer_tree(transaction, read.builder.finish())
    about = {
        "docker.size": str(layer.compressed_size),
        "docker.uncompressed_digest": str(layer.diff_id),
        DELTA_KEY: delta,
        OUTLINE_KEY: "",
    }
    commit = store_partial_commit(transaction, root, about)
    transaction.commit([(outline_ref(layer.digest), commit)])
    return read.report(commit)


@dataclass(slots=True)
class _Read:
    """What came out of a stream; `size` is that of all its files, in bytes."""

    builder: LayerBuilder = field(default_factory=LayerBuilder)
    contents: list[Checksum] = field(default_factory=list)
    size: int = 0

    def report(self, commit: Checksum) -> LayerReport:
        return LayerReport(
            commit=commit.hex(),
            files=len(self.contents),
            bytes=self.size,
            left_out=tuple(self.builder.left_out),
        )


def _read(transaction: Transaction, stream: LayerStream, watch: Watch | None = None) -> _Read:
    read = _Read()
    add, contents = read.builder.add, read.contents
    for entry, chunks in stream:
        match entry:
            case RegularFile(_, metadata, size):
                if watch is not None:
                    chunks = watch.chunks(chunks, size)
                content = transaction.add_file(metadata, size, chunks)
                add(entry, content)
                contents.append(content)
                read.size += size
            case Symlink():
                add(entry, transaction.add_symlink(entry.metadata, entry.target))
            case _:
                add(entry)
    return read
