# SPDX-License-Identifier: LGPL-2.1-or-later
"""From a stream of layer entries to objects and one commit.

The content of a file becomes an object while it streams by; the names become a tree in memory. The
stream is believed only when it has ended without an error, so the ref comes after that.
"""

from atomic_sys.model.layer import LayerStream, RegularFile, Symlink
from atomic_sys.store.commits import DELTA_KEY, layer_tree, store_commit
from atomic_sys.store.images import LayerImport, LayerReport, blob_ref, tar_ref
from atomic_sys.store.layer_builder import LayerBuilder
from atomic_sys.store.objects import Checksum
from atomic_sys.store.skeleton import SkeletonWriter
from atomic_sys.store.transaction import Transaction


def import_layer(
    transaction: Transaction,
    layer: LayerImport,
    stream: LayerStream,
    skeleton: SkeletonWriter | None = None,
) -> LayerReport:
    """Store the layer and commit the transaction, its skeleton too if the stream fed one.

    Raises InvalidLayer, ContentMismatch, OSError, and whatever the stream raises.
    """
    builder = LayerBuilder()
    contents: list[Checksum] = []
    size = 0
    for entry, chunks in stream:
        match entry:
            case RegularFile():
                content = transaction.add_file(entry.metadata, entry.size, chunks)
                builder.add(entry, content)
                contents.append(content)
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
    refs = [(blob_ref(layer.digest), commit)]
    if skeleton is not None:  # first, for a layer that is there is not imported again
        refs.insert(0, (tar_ref(layer.digest), skeleton.store(transaction, root, contents, size)))
    transaction.commit(refs)
    left_out = tuple(builder.left_out)
    return LayerReport(commit=commit.hex(), files=len(contents), bytes=size, left_out=left_out)
