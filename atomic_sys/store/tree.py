# SPDX-License-Identifier: LGPL-2.1-or-later
"""File system trees in memory, and how layers are laid upon one another.

A node is a Directory or a leaf, and a leaf is the checksum of its content object: a file or a
symbolic link with owner, mode and attributes. Nothing here touches a disk, so that a path can
escape nowhere. Source: image-spec layer.md.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias, assert_never

from atomic_sys.errors import AtomicSysError
from atomic_sys.model import layer as entries
from atomic_sys.model.layer import Entry, LayerPath, Metadata
from atomic_sys.store.objects import Checksum, valid_name

IMPLIED = Metadata(0, 0, 0o755)  # of a directory that no layer has an entry for
MAX_DEPTH = 256  # components of a path
MAX_LINKS = 40  # symbolic links followed for one path, the kernel's limit
WHITEOUT_PREFIX = ".wh."


class InvalidLayer(AtomicSysError):
    """A layer that does not describe a tree."""


@dataclass(slots=True)
class Directory:
    """A directory: its own metadata and its nodes by name."""

    metadata: Metadata
    nodes: "dict[str, Node]" = field(default_factory=dict)


Node: TypeAlias = Directory | Checksum
ReadLink: TypeAlias = Callable[[Checksum], str | None]  # the target, or None for a file


@dataclass(slots=True, kw_only=True)
class Layer:
    """One layer: what it brings, and what it does to the layers below."""

    root: Directory = field(default_factory=lambda: Directory(IMPLIED))
    implied: set[LayerPath] = field(default_factory=lambda: {()})  # directories without an entry
    whiteouts: set[LayerPath] = field(default_factory=set)
    opaque: set[LayerPath] = field(default_factory=set)
    links: dict[LayerPath, LayerPath] = field(default_factory=dict)  # to files of layers below


def find(root: Directory, path: LayerPath) -> Node | None:
    """The node at this path; symbolic links are not followed."""
    node: Node = root
    for name in path:
        below = node.nodes.get(name) if isinstance(node, Directory) else None
        if below is None:
            return None
        node = below
    return node


def resolve(root: Directory, path: LayerPath, read_link: ReadLink) -> LayerPath | None:
    """The path without symbolic links of a node, resolved as if `root` were the root directory.

    None where there is nothing, or after more than MAX_LINKS links.
    """
    todo = list(reversed(path))
    done: list[str] = []
    links = 0
    while todo:
        name = todo.pop()
        if name == "..":
            del done[-1:]
            continue
        if name in ("", "."):
            continue
        node = find(root, (*done, name))
        target = read_link(node) if isinstance(node, bytes) else None
        if node is None or (target is None and isinstance(node, bytes) and todo):
            return None
        if target is None:
            done.append(name)
            continue
        links += 1
        if links > MAX_LINKS:
            return None
        if target.startswith("/"):
            done.clear()
        todo.extend(reversed(target.split("/")))
    return tuple(done)


class LayerBuilder:
    """Collects the entries of one layer, in whatever order they come."""

    def __init__(self) -> None:
        self.layer = Layer()
        self.left_out: list[str] = []
        # Archives list a directory's files one after the other: where the last entry was.
        self._parent_path: LayerPath = ()
        self._parent = self.layer.root

    def add(self, entry: Entry, content: Checksum | None = None) -> None:
        """Take one entry; `content` is the object of a file or of a symbolic link.

        Raises InvalidLayer.
        """
        layer = self.layer
        path = entry.path
        if path and path[:-1] == self._parent_path:
            _check_name(path[-1])
        else:
            _check(path)
        match entry:
            case entries.RegularFile() | entries.Symlink():
                if content is None:
                    raise TypeError("a file without content")
                self._leaf_parent(path).nodes[path[-1]] = content
                if layer.links:
                    layer.links.pop(path, None)
            case entries.Directory():
                self._directory(entry.path).metadata = entry.metadata
                layer.implied.discard(entry.path)
            case entries.HardLink():
                _check(entry.target)
                self._leaf_parent(entry.path).nodes.pop(entry.path[-1], None)
                layer.links[entry.path] = entry.target
            case entries.Whiteout():
                self._leaf_parent(entry.path, whiteout=True)
                layer.whiteouts.add(entry.path)
            case entries.OpaqueWhiteout():
                self._directory(entry.path)
                layer.opaque.add(entry.path)
            case entries.SpecialFile():
                # It would have taken the place of what is below, and so does its absence.
                self._leaf_parent(entry.path, whiteout=True)
                layer.whiteouts.add(entry.path)
                self.left_out.append(f"/{'/'.join(entry.path)} ({entry.kind})")
            case _:
                assert_never(entry)

    def _leaf_parent(self, path: LayerPath, *, whiteout: bool = False) -> Directory:
        if not path:
            raise InvalidLayer("invalid layer: its root is not a directory")
        above, parent = path[:-1], self._parent
        if above != self._parent_path:
            parent = self._directory(above)
            self._parent_path, self._parent = above, parent
        if not whiteout and isinstance(parent.nodes.get(path[-1]), Directory):
            raise InvalidLayer(f"invalid layer: {_text(path)} is a directory and a file at once")
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
                self.layer.implied.add(path[:depth])
            node = below
        if not isinstance(node, Directory):
            raise InvalidLayer(f"invalid layer: {_text(path)} is below a file, or is one as well")
        return node

    def finish(self) -> Layer:
        """The layer, with the hard links that stay inside it resolved.

        Raises InvalidLayer for one that leads to a directory or to itself.
        """
        layer = self.layer
        below: dict[LayerPath, LayerPath] = {}
        found: dict[LayerPath, Checksum] = {}
        for path, first in layer.links.items():
            target = first
            seen = {path}
            while target in layer.links:
                if target in seen:
                    raise InvalidLayer(f"invalid layer: {_text(path)} is a hard link to itself")
                seen.add(target)
                target = layer.links[target]
            node = find(layer.root, target)
            if isinstance(node, Directory):
                raise InvalidLayer(f"invalid layer: {_text(path)} is a hard link to a directory")
            if node is None:
                below[path] = target
            else:
                found[path] = node
        layer.links = below
        for path, content in found.items():
            self._leaf_parent(path).nodes[path[-1]] = content
        for path in below:
            self._leaf_parent(path)
        return layer


def merge(lower: Directory, layer: Layer, read_link: ReadLink) -> None:
    """Lay a layer upon a tree, which is changed in place and takes over the layer's nodes.

    What a whiteout names is looked for in the lower tree only, so the order within the layer does
    not matter. A parent directory that the layer has no entry for keeps its metadata, and where
    the tree has a symbolic link to a directory in its place, that one is meant, as other
    unpackers have it. Raises InvalidLayer for a hard link to what is not there.
    """
    linked = {path: _linked(lower, path, target) for path, target in layer.links.items()}
    cleared = [_resolved(lower, path, read_link) for path in layer.opaque]
    removed = [
        (parent, path[-1])
        for path in layer.whiteouts
        if isinstance(parent := _resolved(lower, path[:-1], read_link), Directory)
    ]
    for directory in cleared:
        if isinstance(directory, Directory):
            directory.nodes.clear()
    for parent, name in removed:
        parent.nodes.pop(name, None)
    union = _Union(lower, layer, read_link)
    union.directory(lower, layer.root, ())
    for path, content in linked.items():
        union.places[path[:-1]].nodes[path[-1]] = content


class _Union:
    """Lays directories upon directories, and remembers where each of the layer's went."""

    def __init__(self, top: Directory, layer: Layer, read_link: ReadLink) -> None:
        self.implied = layer.implied
        # Where the implied directories are already, maybe by way of links, before anything is added
        self.present = {path: _resolved(top, path, read_link) for path in layer.implied}
        self.wanted = {path[:-1] for path in layer.links}
        self.places: dict[LayerPath, Directory] = {}

    def directory(self, lower: Directory, upper: Directory, path: LayerPath) -> None:
        if path in self.wanted:
            self.places[path] = lower
        if path not in self.implied:
            lower.metadata = upper.metadata
        for name, node in upper.nodes.items():
            if isinstance(node, Directory):
                self.directory(self._place(lower, name, (*path, name)), node, (*path, name))
            else:
                lower.nodes[name] = node

    def _place(self, lower: Directory, name: str, path: LayerPath) -> Directory:
        """The directory that takes up the layer's directory of this path."""
        below = lower.nodes.get(name)
        if isinstance(below, Directory):
            return below
        linked = None if below is None else self.present.get(path)
        if isinstance(linked, Directory):
            return linked
        new = lower.nodes[name] = Directory(IMPLIED)
        return new


def _resolved(root: Directory, path: LayerPath, read_link: ReadLink) -> Node | None:
    real = resolve(root, path, read_link)
    return None if real is None else find(root, real)


def _linked(lower: Directory, path: LayerPath, target: LayerPath) -> Checksum:
    node = find(lower, target)
    if not isinstance(node, bytes):
        raise InvalidLayer(f"invalid layer: {_text(path)} is a hard link to nothing")
    return node


def _check(path: LayerPath) -> None:
    if len(path) > MAX_DEPTH:
        raise InvalidLayer(f"invalid layer: a path of more than {MAX_DEPTH} components")
    for name in path:
        _check_name(name)


def _check_name(name: str) -> None:
    if not valid_name(name) or name[:4] == WHITEOUT_PREFIX:
        raise InvalidLayer(f"invalid layer: {name[:80]!r} is not the name of a file")


def _text(path: LayerPath) -> str:
    return "/" + "/".join(path)
