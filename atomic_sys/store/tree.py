# SPDX-License-Identifier: LGPL-2.1-or-later
"""File system trees in memory, and what a layer is to them.

A node is a Directory or a leaf, and a leaf is the checksum of its content object: a file or a
symbolic link with owner, mode and attributes. Nothing here touches a disk, so that a path can
escape nowhere. Source: image-spec layer.md.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from atomic_sys.errors import AtomicSysError
from atomic_sys.model.layer import LayerPath, Metadata
from atomic_sys.store.objects import Checksum, valid_name

IMPLIED = Metadata(0, 0, 0o755)  # of a directory that no layer has an entry for
MAX_DEPTH = 256  # components of a path
MAX_LINKS = 40  # symbolic links followed for one path, the kernel's limit
WHITEOUT_PREFIX = ".wh."


class InvalidLayer(AtomicSysError):
    """A layer that does not describe a tree."""


@dataclass(slots=True)
class Directory:
    """A directory: its own metadata and its nodes by name.

    `stored` are the objects, tree and metadata, that it was read from or stored as. Whoever adds,
    replaces or removes a node must set it to None; what changes in the directories below, and the
    metadata, is seen when it is stored again.
    """

    metadata: Metadata
    nodes: "dict[str, Node]" = field(default_factory=dict)
    stored: tuple[Checksum, Checksum] | None = field(default=None, compare=False, repr=False)


Node: TypeAlias = Directory | Checksum
ReadLink: TypeAlias = Callable[[Checksum], str | None]  # the target, or None for a file


@dataclass(slots=True, kw_only=True)
class Layer:
    """One layer: what it brings, and what it does to the layers below.

    A directory that is only implied has the metadata IMPLIED.
    """

    root: Directory = field(default_factory=lambda: Directory(IMPLIED))
    implied: set[LayerPath] = field(default_factory=lambda: {()})  # directories without an entry
    whiteouts: set[LayerPath] = field(default_factory=set)
    opaque: set[LayerPath] = field(default_factory=set)
    # Hard links to files of layers below; to those of this layer where there are none below.
    links: dict[LayerPath, LayerPath] = field(default_factory=dict)


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
    nodes: list[Node] = [root]  # of what is done, and of the root
    links = 0
    while todo:
        name = todo.pop()
        if name == "..":
            if done:
                done.pop()
                nodes.pop()
            continue
        if name in ("", "."):
            continue
        here = nodes[-1]
        node = here.nodes.get(name) if isinstance(here, Directory) else None
        target = read_link(node) if isinstance(node, bytes) else None
        if node is None or (target is None and isinstance(node, bytes) and todo):
            return None
        if target is None:
            done.append(name)
            nodes.append(node)
            continue
        links += 1
        if links > MAX_LINKS:
            return None
        if target.startswith("/"):
            done.clear()
            del nodes[1:]
        todo.extend(reversed(target.split("/")))
    return tuple(done)


def chain_ends(links: Mapping[LayerPath, LayerPath]) -> dict[LayerPath, LayerPath | None]:
    """What each link leads to in the end, by way of others; None where these are a circle."""
    ends: dict[LayerPath, LayerPath | None] = {}
    for first in links:
        trail: dict[LayerPath, None] = {}
        at = first
        while at in links and at not in ends and at not in trail:
            trail[at] = None
            at = links[at]
        end = ends.get(at, None if at in trail else at)
        ends.update(dict.fromkeys(trail, end))
    return ends


def check_path(path: LayerPath) -> None:
    """Raises InvalidLayer unless a tree can have a node there."""
    if len(path) > MAX_DEPTH:
        raise InvalidLayer(f"invalid layer: a path of more than {MAX_DEPTH} components")
    for name in path:
        check_name(name)


def check_name(name: str) -> None:
    """Raises InvalidLayer unless a directory of a layer can have an entry of this name."""
    if not valid_name(name) or name.startswith(WHITEOUT_PREFIX):
        raise InvalidLayer(f"invalid layer: {name[:80]!r} is not the name of a file")


def text(path: LayerPath) -> str:
    """The path as people write it."""
    return "/" + "/".join(path)
