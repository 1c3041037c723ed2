# SPDX-License-Identifier: LGPL-2.1-or-later
"""Trees and layers as commits, and back.

A layer's commit keeps its whiteouts as the empty files `.wh.NAME` and `.wh..wh..opq`, as the
predecessor's do and `ostree checkout --whiteouts` expects. What such a tree cannot say, which
parent directories have no entry of their own, which hard links lead to layers below, and which
whiteouts have no room for their prefix, is in the commit's metadata.
"""

import json
import stat
import time
from collections.abc import Mapping

from atomic_sys.errors import Damaged
from atomic_sys.model import strict_json
from atomic_sys.model.layer import LayerPath, Metadata
from atomic_sys.store.dirtree import DirTree, decode_dirtree, encode_dirtree
from atomic_sys.store.objects import (
    Checksum,
    Commit,
    ObjectKind,
    checksum,
    decode_metadata,
    encode_commit,
    encode_metadata,
    valid_name,
)
from atomic_sys.store.partial import mark_partial
from atomic_sys.store.repository import Repository
from atomic_sys.store.transaction import Transaction
from atomic_sys.store.tree import IMPLIED, MAX_DEPTH, WHITEOUT_PREFIX, Directory, Layer, find

OPAQUE = f"{WHITEOUT_PREFIX}{WHITEOUT_PREFIX}.opq"
DELTA_KEY = "atomic-sys.layer"
_DOCUMENT = Metadata(0, 0, 0o644)
_WHITEOUT = Metadata(0, 0, 0o644)


def store_commit(
    transaction: Transaction, root: Directory, metadata: Mapping[str, str]
) -> Checksum:
    """Store a tree and a commit of it with these strings as metadata."""
    return transaction.add_metadata(ObjectKind.COMMIT, _commit(transaction, root, metadata))


def store_partial_commit(
    transaction: Transaction, root: Directory, metadata: Mapping[str, str]
) -> Checksum:
    """The same for a tree of which contents are missing, which is said before it is there."""
    content = _commit(transaction, root, metadata)
    mark_partial(transaction.repository, checksum(content))
    return transaction.add_metadata(ObjectKind.COMMIT, content)


def _commit(transaction: Transaction, root: Directory, metadata: Mapping[str, str]) -> bytes:
    tree, root_metadata = store_tree(transaction, root)
    commit = Commit(
        metadata={key: ("s", value) for key, value in metadata.items()},
        timestamp=int(time.time()),
        root_tree=tree,
        root_metadata=root_metadata,
    )
    return encode_commit(commit)


def documents(transaction: Transaction, files: Mapping[str, bytes]) -> Directory:
    """A tree of these plain files, stored. Raises OSError."""
    root = Directory(IMPLIED)
    for name, content in files.items():
        root.nodes[name] = transaction.add_file(_DOCUMENT, len(content), (content,))
    return root


def store_tree(transaction: Transaction, directory: Directory) -> tuple[Checksum, Checksum]:
    """Store a directory with all below it; the checksums of its tree and of its metadata.

    What it was read from must be in the same repository.
    """
    return _TreeWriter(transaction).store(directory)


class _TreeWriter:
    """Stores directories, but for those that are there since they have not changed."""

    def __init__(self, transaction: Transaction) -> None:
        self.transaction = transaction
        self._metadata: dict[Metadata, Checksum] = {}

    def store(self, directory: Directory) -> tuple[Checksum, Checksum]:
        same = True
        below: list[tuple[str, Checksum, Checksum]] = []
        for name, node in directory.nodes.items():
            if isinstance(node, Directory):
                before = node.stored
                now = self.store(node)
                same = same and now == before
                below.append((name, *now))
        if same and directory.stored is not None:
            tree = directory.stored[0]
        else:
            tree = self._add(directory, below)
        directory.stored = tree, self._dirmeta(directory.metadata)
        return directory.stored

    def _add(self, directory: Directory, below: list[tuple[str, Checksum, Checksum]]) -> Checksum:
        nodes = directory.nodes
        files = [  # code points sort as their UTF-8 does
            (name, node) for name in sorted(nodes) if isinstance(node := nodes[name], bytes)
        ]
        tree = DirTree(files=tuple(files), directories=tuple(sorted(below)))
        return self.transaction.add_metadata(ObjectKind.DIRTREE, encode_dirtree(tree))

    def _dirmeta(self, metadata: Metadata) -> Checksum:
        known = self._metadata.get(metadata)
        if known is None:
            known = self.transaction.add_metadata(ObjectKind.DIRMETA, encode_metadata(metadata))
            self._metadata[metadata] = known
        return known


class TreeReader:
    """Reads the trees of commits into memory."""

    def __init__(self, repository: Repository) -> None:
        self.repository = repository
        self._metadata: dict[Checksum, Metadata] = {}

    def load(self, commit: Commit) -> Directory:
        """The tree of a commit. Raises Damaged."""
        return self._directory(commit.root_tree, commit.root_metadata, 0)

    def _directory(self, tree: Checksum, metadata: Checksum, depth: int) -> Directory:
        if depth > MAX_DEPTH:
            raise Damaged(f"damaged tree: deeper than {MAX_DEPTH} directories")
        read = decode_dirtree(self.repository.read_metadata(ObjectKind.DIRTREE, tree))
        directory = Directory(self._dirmeta(metadata), dict(read.files), (tree, metadata))
        for name, below, below_metadata in read.directories:
            directory.nodes[name] = self._directory(below, below_metadata, depth + 1)
        return directory

    def _dirmeta(self, name: Checksum) -> Metadata:
        known = self._metadata.get(name)
        if known is None:
            content = self.repository.read_metadata(ObjectKind.DIRMETA, name)
            known, kind = decode_metadata(content)
            if kind != stat.S_IFDIR:
                raise Damaged(f"damaged object {name.hex()}.dirmeta: not a directory's")
            self._metadata[name] = known
        return known


def layer_tree(transaction: Transaction, layer: Layer) -> tuple[Directory, str]:
    """The tree of a layer's commit and the value of its DELTA_KEY; the layer is used up."""
    marks = [(path[:-1], WHITEOUT_PREFIX + path[-1]) for path in layer.whiteouts]
    marks += [(path, OPAQUE) for path in layer.opaque]
    unmarked = []  # of names so long that no file can have them with the prefix
    if marks:
        empty = transaction.add_file(_WHITEOUT, 0, ())
        for path, name in marks:
            parent = find(layer.root, path)
            if not isinstance(parent, Directory):
                raise AssertionError(f"no directory for the whiteout {name}")
            if valid_name(name):
                parent.nodes[name] = empty
            else:
                unmarked.append("/".join((*path, name.removeprefix(WHITEOUT_PREFIX))))
    delta: dict[str, object] = {
        "implied": sorted("/".join(path) for path in layer.implied),
        "links": {"/".join(path): "/".join(target) for path, target in layer.links.items()},
    }
    if unmarked:
        delta["whiteouts"] = sorted(unmarked)
    return layer.root, json.dumps(delta, separators=(",", ":"), sort_keys=True)


def load_layer(reader: TreeReader, commit: Commit) -> Layer:
    """The layer that a commit holds, ours or the predecessor's. Raises Damaged."""
    layer = Layer(root=reader.load(commit), implied=set())
    _take_whiteouts(layer, layer.root, ())
    text = commit.text(DELTA_KEY)
    if text is None:
        return layer
    what = "a layer's commit"
    try:
        delta = strict_json.as_object(strict_json.loads(text.encode(), what), what)
        implied = strict_json.as_strings(delta.get("implied"), what)
        links = strict_json.as_string_map(delta.get("links"), what)
        unmarked = strict_json.as_strings(delta.get("whiteouts"), what)
    except strict_json.InvalidJson as error:
        raise Damaged(f"damaged commit: {error}") from None
    layer.implied = {_path(path) for path in implied}
    for path in layer.implied:
        if isinstance(node := find(layer.root, path), Directory):
            node.metadata = IMPLIED
    layer.links = {_path(path): _path(target) for path, target in links.items()}
    layer.whiteouts.update(_path(path) for path in unmarked)
    return layer


def _path(text: str) -> LayerPath:
    path = tuple(text.split("/")) if text else ()
    if not all(valid_name(name) for name in path):
        raise Damaged(f"damaged commit: the path {text[:80]!r}")
    return path


def _take_whiteouts(layer: Layer, directory: Directory, path: LayerPath) -> None:
    whiteouts: list[str] = []
    for name, node in directory.nodes.items():
        if isinstance(node, Directory):
            _take_whiteouts(layer, node, (*path, name))
        elif name.startswith(WHITEOUT_PREFIX):
            whiteouts.append(name)
    for name in whiteouts:
        del directory.nodes[name]
        directory.stored = None
        if name == OPAQUE:
            layer.opaque.add(path)
        elif valid_name(hidden := name.removeprefix(WHITEOUT_PREFIX)):
            layer.whiteouts.add((*path, hidden))
        else:
            raise Damaged(f"damaged layer: the whiteout {name!r}")
