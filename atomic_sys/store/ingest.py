# SPDX-License-Identifier: LGPL-2.1-or-later
"""From a stream of layer entries to objects and one commit.

The content of a file becomes an object while it streams by; the names become a tree in memory. The
stream is believed only when it has ended without an error, so the ref comes after that.
"""

from atomic_sys.model.layer import LayerStream, RegularFile, Symlink
from atomic_sys.store.commits import DELTA_KEY, layer_tree, store_commit
from atomic_sys.store.images import LayerImport, LayerReport, blob_ref
from atomic_sys.store.transaction import Transaction
from atomic_sys.store.tree import LayerBuilder


def import_layer(transaction: Transaction, layer: LayerImport, stream: LayerStream) -> LayerReport:
    """Store the layer and commit the transaction.

    Raises InvalidLayer, ContentMismatch, OSError, and whatever the stream raises.
    """
    builder = LayerBuilder()
    files = size = 0
    for entry, chunks in stream:
        match entry:
            case RegularFile():
                content = transaction.add_file(entry.metadata, entry.size, chunks)
                builder.add(entry, content)
                files += 1
                size += entry.size
            case Symlink():
                builder.add(entry, transaction.add_symlink(entry.metadata, entry.target))
            case _:
                builder.add(entry)
    root, delta = layer_tree(transaction, builder.finish())
    about = {
        "docker.size": str(layer.compressed_size),
        "docker.uncompressed_digest": str(layer.diff_id),
        DELTA_KEY: delta,
    }
    if layer.uncompressed_size is not None:
        about["docker.uncompressed_size"] = str(layer.uncompressed_size())
    commit = store_commit(transaction, root, about)
    transaction.commit([(blob_ref(layer.digest), commit)])
    left_out = tuple(builder.left_out)
    return LayerReport(commit=commit.hex(), files=files, bytes=size, left_out=left_out)
