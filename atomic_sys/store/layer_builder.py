# SPDX-License-Identifier: LGPL-2.1-or-later
"""From the entries of one layer, in whatever order they come, to what it does to a tree; pure.

A hard link means the file that has the name when the link is met, as for tar(1); one that comes
first is resolved when the layer meets those below.
"""

from typing import assert_never

from atomic_sys.model import layer as entries
from atomic_sys.model.layer import Entry, LayerPath, Metadata
from atomic_sys.store.objects import Checksum
from atomic_sys.store.tree import (
    IMPLIED,
    Directory,
    InvalidLayer,
    Layer,
    Node,
    chain_ends,
    check_name,
    check_path,
    find,
    text,
)

# What few layers have at all, and what would cost a hostile one nothing: a short member can imply
# two hundred directories, each with a path as long.
_MOST_KEPT = 1 << 24  # characters of the paths that are kept besides the tree, in all
_MOST_ATTRIBUTES = 1 << 24  # bytes of all extended attributes of directories


class LayerBuilder:
    """Collects the entries of one layer, in whatever order they come."""

    def __init__(self) -> None:
        self.layer = Layer()
        self.left_out: list[str] = []
        self._special: set[LayerPath] = set()  # what was left out, by its names
        # Archives list a directory's files one after the other: where the last entry was.
        self._parent_path: LayerPath = ()
        self._parent = self.layer.root
        self._kept = 0
        self._attributes = 0

    def add(self, entry: Entry, content: Checksum | None = None) -> None:
        """Take one entry; `content` is the object of a file or of a symbolic link.

        Raises InvalidLayer.
        """
        path = entry.path
        if path and path[:-1] == self._parent_path:
            name = path[-1]
            check_name(name)
            # Nearly always a further file beside the last one, and nothing is known of its name.
            nodes = self._parent.nodes
            if (
                content is not None
                and type(entry) is entries.RegularFile
                and name not in nodes
                and not self.layer.links
                and not self._special
            ):
                nodes[name] = content
                return
        else:
            check_path(path)
        self._add(entry, path, content)

    def _add(self, entry: Entry, path: LayerPath, content: Checksum | None) -> None:
        match entry:
            case entries.RegularFile() | entries.Symlink():
                if content is None:
                    raise TypeError("a file without content")
                self._leaf(path, content)
            case entries.Directory():
                if entry.metadata.xattrs:
                    self._weigh(entry.metadata)
                self._directory(path).metadata = entry.metadata
                self.layer.implied.discard(path)
            case entries.HardLink():
                self._link(path, entry.target)
            case entries.Whiteout():
                self._leaf_parent(path, whiteout=True)
                self._keep(path)
                self.layer.whiteouts.add(path)
            case entries.OpaqueWhiteout():
                self._directory(path)
                self._keep(path)
                self.layer.opaque.add(path)
            case entries.SpecialFile():
                self._leave_out(path, entry.kind)
            case _:
                assert_never(entry)

    def _leaf(self, path: LayerPath, content: Checksum) -> None:
        self._leaf_parent(path).nodes[path[-1]] = content
        if self.layer.links:
            self.layer.links.pop(path, None)
        if self._special:
            self._special.discard(path)

    def _link(self, path: LayerPath, target: LayerPath) -> None:
        """A hard link to what has this name now, else to what layers below or later entries say."""
        check_path(target)
        if target == path:
            raise InvalidLayer(f"invalid layer: {text(path)} is a hard link to itself")
        if target in self._special:
            self._leave_out(path, "hard link to a special file")
            return
        node = find(self.layer.root, target)
        if isinstance(node, bytes):
            self._leaf(path, node)
            return
        self._leaf_parent(path).nodes.pop(path[-1], None)
        self._special.discard(path)
        self._keep(path)
        self.layer.links[path] = self.layer.links.get(target, target)

    def _leave_out(self, path: LayerPath, what: str) -> None:
        """It would have taken the place of what is below, and so does its absence."""
        self._leaf_parent(path).nodes.pop(path[-1], None)
        self.layer.links.pop(path, None)
        self.layer.whiteouts.add(path)
        self._keep(path)
        self._special.add(path)
        self.left_out.append(f"{text(path)} ({what})")

    def _keep(self, path: LayerPath) -> None:
        self._kept += len(path) + sum(map(len, path))
        if self._kept > _MOST_KEPT:
            raise InvalidLayer(
                "invalid layer: too many whiteouts, hard links, special files, or directories"
                " without an entry"
            )

    def _weigh(self, metadata: Metadata) -> None:
        self._attributes += sum(len(name) + len(value) for name, value in metadata.xattrs)
        if self._attributes > _MOST_ATTRIBUTES:
            raise InvalidLayer(
                f"invalid layer: more than {_MOST_ATTRIBUTES} bytes of extended attributes of"
                " directories"
            )

    def _leaf_parent(self, path: LayerPath, *, whiteout: bool = False) -> Directory:
        if not path:
            raise InvalidLayer("invalid layer: its root is not a directory")
        above, parent = path[:-1], self._parent
        if above != self._parent_path:
            parent = self._directory(above)
            self._parent_path, self._parent = above, parent
        if not whiteout and isinstance(parent.nodes.get(path[-1]), Directory):
            raise InvalidLayer(f"invalid layer: {text(path)} is a directory and a file at once")
        return parent

    def _directory(self, path: LayerPath) -> Directory:
        """The directory at this path, made with all its parents where it is missing."""
        node: Node = self.layer.root
        for depth, name in enumerate(path, 1):
            if not isinstance(node, Directory):
                break
            below = node.nodes.get(name)
            if below is None:
                below = node.nodes[name] = Directory(IMPLIED)
                self._keep(path[:depth])
                self.layer.implied.add(path[:depth])
            node = below
        if not isinstance(node, Directory):
            raise InvalidLayer(f"invalid layer: {text(path)} is below a file, or is one as well")
        return node

    def finish(self) -> Layer:
        """The layer, with the hard links to its own later entries in their places.

        Raises InvalidLayer for one that leads to a directory of the layer, and for what is below
        something that is no directory.
        """
        layer = self.layer
        ends = chain_ends(layer.links)
        nodes = {path: None if end is None else find(layer.root, end) for path, end in ends.items()}
        for path, node in nodes.items():
            parent = self._leaf_parent(path)
            if isinstance(node, Directory):
                raise InvalidLayer(f"invalid layer: {text(path)} is a hard link to a directory")
            if ends[path] in self._special:
                self._leave_out(path, "hard link to a special file")
            elif node is not None:
                parent.nodes[path[-1]] = node
        for path in self._special:
            self._leaf_parent(path)
        return layer
