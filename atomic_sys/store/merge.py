# SPDX-License-Identifier: LGPL-2.1-or-later
"""How layers are laid upon one another, in memory; pure. Source: image-spec layer.md."""

import heapq
from collections.abc import Mapping

from atomic_sys.model.layer import LayerPath
from atomic_sys.store.objects import Checksum
from atomic_sys.store.tree import (
    IMPLIED,
    MAX_DEPTH,
    Directory,
    InvalidLayer,
    Layer,
    Node,
    ReadLink,
    chain_ends,
    find,
    resolve,
    text,
)


def merge(lower: Directory, layer: Layer, read_link: ReadLink) -> None:
    """Lay a layer upon a tree, which is changed in place and takes over the layer's nodes.

    What a whiteout names is looked for in the lower tree only, so the order within the layer does
    not matter. A parent directory that the layer has no entry for keeps its metadata, and where
    the tree has a symbolic link to a directory in its place, that one is meant, as other
    unpackers have it. Raises InvalidLayer for a hard link to what is not there.
    """
    linked = _linked(lower, layer, read_link)
    cleared = [_seen_from(lower, layer, path, read_link) for path in layer.opaque]
    removed = [
        (parent, path[-1])
        for path in layer.whiteouts
        if (parent := _seen_from(lower, layer, path[:-1], read_link)) is not None
    ]
    for directory in cleared:
        if directory is not None:
            directory.nodes.clear()
            directory.stored = None
    for parent, name in removed:
        if parent.nodes.pop(name, None) is not None:
            parent.stored = None
    _Union(lower, layer, linked, read_link).lay()


class _Union:
    """Lays the directories of a layer upon those of a tree."""

    def __init__(
        self,
        top: Directory,
        layer: Layer,
        linked: Mapping[LayerPath, Checksum],
        read_link: ReadLink,
    ) -> None:
        self.top = top
        self.layer = layer
        self.read_link = read_link
        self.linked: dict[LayerPath, dict[str, Checksum]] = {}  # by their directories
        for path, content in linked.items():
            self.linked.setdefault(path[:-1], {})[path[-1]] = content
        self.with_links = {path[:end] for path in self.linked for end in range(len(path) + 1)}
        # What is behind symbolic links comes last, in order of its paths (a heap): it may be this
        # layer that brings what they lead to.
        self.behind_links: list[tuple[LayerPath, int, Directory, Directory]] = []

    def lay(self) -> None:
        """All of the layer."""
        self.directory(self.top, self.layer.root, (), 0)
        while self.behind_links:
            path, depth, parent, upper = heapq.heappop(self.behind_links)
            real = resolve(self.top, path, self.read_link)
            place = None if real is None else find(self.top, real)
            if real is not None and isinstance(place, Directory):
                depth = len(real)
            else:
                place = parent.nodes[path[-1]] = Directory(IMPLIED)
                parent.stored = None
            self.directory(place, upper, path, depth)

    def directory(self, lower: Directory, upper: Directory, path: LayerPath, depth: int) -> None:
        """Lay the layer's directory of this path upon one that is `depth` components deep."""
        if depth > MAX_DEPTH:
            raise InvalidLayer(f"invalid layer: {text(path)} is too deep, by way of links")
        lower.stored = None
        if path not in self.layer.implied:
            lower.metadata = upper.metadata
        for name, node in upper.nodes.items():
            if not isinstance(node, Directory):
                lower.nodes[name] = node
                continue
            here = (*path, name)
            below = lower.nodes.get(name)
            if isinstance(below, bytes) and here in self.layer.implied and self.read_link(below):
                heapq.heappush(self.behind_links, (here, depth + 1, lower, node))
                continue
            if not isinstance(below, Directory):
                if depth == len(path) and here not in self.with_links:
                    lower.nodes[name] = node  # there is nothing to lay it upon, or to lay upon it
                    continue
                below = lower.nodes[name] = Directory(IMPLIED)
            self.directory(below, node, here, depth + 1)
        lower.nodes.update(self.linked.get(path, {}))


def _seen_from(
    lower: Directory, layer: Layer, path: LayerPath, read_link: ReadLink
) -> Directory | None:
    """What the layers below have in the place of a directory of this layer, links followed.

    A link that the layer has an entry for a directory for leads nowhere any more: what overlayfs
    writes for `rm LINK; mkdir LINK` is the directory and an opaque whiteout in it.
    """
    real: LayerPath = ()
    for depth, name in enumerate(path, 1):
        place: LayerPath | None = (*real, name)
        node = find(lower, (*real, name))
        if isinstance(node, bytes) and path[:depth] in layer.implied:
            place = resolve(lower, (*real, name), read_link)
            node = None if place is None else find(lower, place)
        if place is None or not isinstance(node, Directory):
            return None
        real = place
    node = find(lower, real)
    return node if isinstance(node, Directory) else None


def _linked(lower: Directory, layer: Layer, read_link: ReadLink) -> dict[LayerPath, Checksum]:
    """What the layer's hard links are: files below, else what the layer itself has later."""

    def below(target: LayerPath) -> Node | None:
        parent = resolve(lower, target[:-1], read_link)
        return None if parent is None else find(lower, (*parent, target[-1]))

    found = {
        path: node
        for path, target in layer.links.items()
        if isinstance(node := below(target), bytes)
    }
    ends = chain_ends({path: to for path, to in layer.links.items() if path not in found})
    for path, end in ends.items():
        node = None if end is None else found.get(end) or find(layer.root, end)
        if not isinstance(node, bytes):
            raise InvalidLayer(f"invalid layer: {text(path)} is a hard link to nothing")
        found[path] = node
    return found
