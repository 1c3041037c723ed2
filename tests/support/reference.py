# SPDX-License-Identifier: LGPL-2.1-or-later
"""A slow and obvious extractor of images, to judge the quick one by: layers upon a dictionary.

It is written from image-spec's layer.md and shares no code with the package: tarfile reads the
archives, a tree is a dictionary from paths to inodes, and each entry is put there in turn, as
tar(1) would. What the specification leaves open is said where it is decided.
"""

from collections.abc import Sequence
from typing import TypeAlias

from tests.support.reference_archive import Entry, Inode, Path, Refused, entries, parse

__all__ = ["Ambiguous", "Inode", "Path", "Refused", "Tree", "extract", "is_below", "parse"]
MAX_LINKS = 40  # symbolic links on the way to one file, the kernel's limit
Tree: TypeAlias = dict[Path, Inode]


class Ambiguous(Exception):
    """An image in which links of lower layers make one file of two of a layer's entries.

    Which of them is meant depends on their order, and the specification forbids such layers: names
    are unique in them.
    """


def extract(layers: Sequence[bytes]) -> Tree:
    """The tree of an image of these tar archives, the base first. Raises Refused."""
    tree: Tree = {(): Inode("directory")}
    for layer in layers:
        Changeset(tree, list(entries(layer))).apply()
    return tree


class Changeset:
    """One layer, to be applied to a tree."""

    def __init__(self, tree: Tree, layer: Sequence[Entry]) -> None:
        self.tree = tree
        self.lower = dict(tree)
        self.layer = layer
        self.last = {entry.path: entry for entry in layer if not (entry.whiteout or entry.opaque)}
        self.directories = {
            e.path for e in layer if e.inode is not None and e.inode.kind == "directory"
        }
        self.names: dict[Path, Path] = {}  # of what this layer has brought, by where that is
        self.followed: set[Path] = set()  # links of lower layers

    def apply(self) -> None:
        """Whiteouts first, wherever in the archive they are; then the entries in their order.

        What lower layers' links lead to may be in this layer, so what is behind links comes last,
        in the order of names.
        """
        self.refuse_contradictions()
        inodes = self.inodes()
        self.remove()
        direct: list[tuple[Entry, Inode | None]] = []
        behind: list[tuple[Entry, Inode | None]] = []
        for entry, inode in zip(self.layer, inodes, strict=True):
            (behind if self.is_behind_link(entry) else direct).append((entry, inode))
        for entry, inode in (*direct, *sorted(behind, key=lambda pair: pair[0].path)):
            self.add(entry, inode)

    def inodes(self) -> list[Inode | None]:
        """What each entry is.

        The target of a hard link is looked for among the entries before it, then in the layers
        below, then among the entries behind it; a special file of the layer is found at once.
        Raises Refused.
        """
        own: dict[Path, Inode] = {}
        special = {
            path: entry.inode
            for path, entry in self.last.items()
            if entry.inode is not None and entry.inode.kind == "special"
        }
        found: list[Inode | None] = []
        for entry in self.layer:
            inode = entry.inode
            if entry.hard_link is not None:
                target = entry.hard_link
                inode = own.get(target) or special.get(target) or self.below(target)
            if inode is not None and inode.kind != "directory":
                own[entry.path] = inode
            found.append(inode)
        links = [(at, e.path, e.hard_link) for at, e in enumerate(self.layer) if e.hard_link]
        waiting = [link for link in links if found[link[0]] is None]
        if any(self.last[path] is not self.layer[at] for at, path, _ in waiting):
            raise Ambiguous(f"{waiting}: one of them has its name from a later entry")
        while known := [link for link in waiting if link[2] in own]:
            for at, path, target in known:
                found[at] = own.setdefault(path, own[target])
            waiting = [link for link in waiting if link not in known]
        if waiting:
            raise Refused(f"{waiting} are hard links to nothing")
        return found

    def refuse_contradictions(self) -> None:
        """No path may be a directory and something else within a layer: names are unique there."""
        directories: set[Path] = {()}
        leaves: set[Path] = set()
        for entry in self.layer:
            inside = entry.opaque or entry.path in self.directories
            above = entry.path if inside else entry.path[:-1]
            directories.update(above[:depth] for depth in range(len(above) + 1))
            if entry.hard_link is not None or (entry.inode and entry.inode.kind != "directory"):
                leaves.add(entry.path)
            if entry.hard_link is not None and self.last[entry.path] is entry:
                leaves.add(entry.hard_link)
            if entry.hard_link == entry.path:
                raise Refused(f"{entry.path} is a hard link to itself")
        if both := directories & leaves:
            raise Refused(f"{both} are directories and something else at once")

    def is_behind_link(self, entry: Entry) -> bool:
        """Whether a directory on the way is a link in the lower layers, and stays one."""
        path = entry.path if entry.opaque else entry.path[:-1]
        ways = [path[:depth] for depth in range(1, len(path) + 1)]
        links = [way for way in ways if way in self.tree and self.tree[way].kind == "symlink"]
        return any(way not in self.directories for way in links)

    def remove(self) -> None:
        """Take away what the whiteouts name, all of them seen from the lower layers."""
        doomed: list[Path] = []
        for entry in self.layer:
            if entry.opaque:
                top = self.seen_from_below(entry.path)
                doomed += [path for path in self.lower if is_below(path, top)]
            elif entry.whiteout:
                parent = self.seen_from_below(entry.path[:-1])
                gone = None if parent is None else (*parent, entry.path[-1])
                doomed += [path for path in self.lower if path == gone or is_below(path, gone)]
        for path in doomed:
            self.tree.pop(path, None)

    def seen_from_below(self, path: Path) -> Path | None:
        """Where a directory of this layer is in the lower layers, links to directories followed.

        A link that this layer puts a directory in the place of leads nowhere any more.
        """
        here: Path = ()
        for depth, name in enumerate(path, 1):
            place = (*here, name)
            inode = self.lower.get(place)
            if inode is None or inode.kind in ("file", "special"):
                return None
            if inode.kind == "symlink":
                real = None if path[:depth] in self.directories else resolve(self.lower, place)
                if real is None:
                    return None
                place = real
            here = place
        return here

    def add(self, entry: Entry, inode: Inode | None) -> None:
        """Put an entry into the tree."""
        if entry.whiteout or entry.opaque:
            self.directory(entry.path if entry.opaque else entry.path[:-1])
            return
        assert inode is not None
        if inode.kind == "directory":
            place = self.directory(entry.path)
            self.name(place, entry.path)
            here = self.tree[place]
            here.mode, here.uid, here.gid, here.xattrs = (
                inode.mode, inode.uid, inode.gid, inode.xattrs,
            )  # fmt: skip
            return
        if not entry.path:
            raise Refused("the root is no directory")
        place = (*self.directory(entry.path[:-1]), entry.path[-1])
        self.name(place, entry.path)
        self.clear(place)
        self.tree[place] = inode

    def name(self, place: Path, path: Path) -> None:
        """Note what an entry is called."""
        if self.names.setdefault(place, path) != path:
            raise Ambiguous(f"{place} is also {path}")

    def below(self, path: Path) -> Inode | None:
        """The file of a lower layer, of which a whiteout in this layer takes one name only.

        A special file is in no store, so that there is nothing to link to; a directory has one
        name only.
        """
        parent = resolve(self.lower, path[:-1])
        inode = None if parent is None else self.lower.get((*parent, *path[-1:]))
        return None if inode is None or inode.kind in ("special", "directory") else inode

    def directory(self, path: Path) -> Path:
        """Where a directory of this layer is in the tree; made with its parents if it is missing.

        A link to a directory is followed unless this layer has a directory for its name; anything
        else that is no directory makes room for one.
        """
        here: Path = ()
        for depth, name in enumerate(path, 1):
            place = (*here, name)
            inode = self.tree.get(place)
            if inode is not None and inode.kind == "symlink":
                real = None if path[:depth] in self.directories else resolve(self.tree, place)
                if real is not None and self.tree[real].kind == "directory":
                    self.followed.add(place)
                    here = real
                    continue
            if inode is None or inode.kind != "directory":
                self.clear(place)
                self.tree[place] = Inode("directory")
            here = place
        return here

    def clear(self, path: Path) -> None:
        """Remove whatever is there, with all below it."""
        for found in [p for p in self.tree if p == path or is_below(p, path)]:
            if found in self.followed or (found != path and found in self.names):
                raise Ambiguous(f"{found} is needed and removed by one layer")
            del self.tree[found]


def is_below(path: Path, top: Path | None) -> bool:
    """Whether the path is one of a directory's descendants."""
    return top is not None and len(path) > len(top) and path[: len(top)] == top


def resolve(tree: Tree, path: Path) -> Path | None:
    """The path without symbolic links, `/` being the root of the tree; None if nothing is there."""
    todo, links = list(path), 0
    here: Path = ()
    while todo:
        name = todo.pop(0)
        if name in (b"", b"."):
            continue
        if name == b"..":
            here = here[:-1]
            continue
        inode = tree.get((*here, name))
        if inode is None or (inode.kind != "directory" and inode.kind != "symlink" and todo):
            return None
        if inode.kind == "symlink":
            links += 1
            if links > MAX_LINKS:
                return None
            if inode.content.startswith(b"/"):
                here = ()
            todo = inode.content.split(b"/") + todo
        else:
            here = (*here, name)
    return here
