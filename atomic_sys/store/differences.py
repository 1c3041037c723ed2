# SPDX-License-Identifier: LGPL-2.1-or-later
"""What differs between two trees, as podman-diff(1) tells it; nothing is read but the trees.

A path is changed when its content, its owner, its mode or its attributes are others, and a
directory also when something below it differs. Of a directory that is gone only its own path is
told, as containers/storage does.
"""

from collections.abc import Iterator

from atomic_sys.frozen import frozen
from atomic_sys.store.tree import Directory, Node


@frozen
class Differences:
    """Absolute paths, each tuple sorted."""

    added: tuple[str, ...]
    changed: tuple[str, ...]
    deleted: tuple[str, ...]


def compare(old: Directory, new: Directory) -> Differences:
    """What has to be done to the old tree to make it the new one; the root itself is not told."""
    found = list(_below("", old.nodes, new.nodes))
    return Differences(
        added=_paths(found, "A"), changed=_paths(found, "C"), deleted=_paths(found, "D")
    )


def _paths(found: list[tuple[str, str]], kind: str) -> tuple[str, ...]:
    return tuple(sorted(path for which, path in found if which == kind))


def _below(parent: str, old: dict[str, Node], new: dict[str, Node]) -> Iterator[tuple[str, str]]:
    """The differences between the nodes of two directories; one without is like an empty one."""
    for name in old.keys() - new.keys():
        yield "D", f"{parent}/{name}"
    for name, node in new.items():
        path = f"{parent}/{name}"
        before = old.get(name)
        inside = list(_below(path, _nodes(before), _nodes(node)))
        if before is None:
            yield "A", path
        elif inside or not _alike(before, node):
            yield "C", path
        yield from inside


def _nodes(node: Node | None) -> dict[str, Node]:
    return node.nodes if isinstance(node, Directory) else {}


def _alike(old: Node, new: Node) -> bool:
    """Whether the nodes themselves are the same: the name of an object covers all of a leaf."""
    if isinstance(old, Directory) and isinstance(new, Directory):
        return old.metadata == new.metadata
    return old == new
