# SPDX-License-Identifier: LGPL-2.1-or-later
"""A tree in parts of about the same size, for those who make it together; pure."""

from collections.abc import Sequence

from atomic_sys.frozen import frozen
from atomic_sys.model.layer import LayerPath
from atomic_sys.store.tree import Directory


@frozen
class Part:
    """A directory with all below it, or (None) the files of the directory above `path[-1]`."""

    path: LayerPath
    directory: Directory | None
    nodes: int


def count(directory: Directory) -> int:
    """How many nodes there are below it."""
    nodes = directory.nodes
    return len(nodes) + sum(count(node) for node in nodes.values() if isinstance(node, Directory))


def split(root: Directory, most: int) -> tuple[dict[LayerPath, Directory], list[Part]]:
    """The directories that are larger than `most` nodes, from the top, and parts that are not."""
    above: dict[LayerPath, Directory] = {(): root}
    parts: list[Part] = []
    todo: list[tuple[LayerPath, Directory]] = [((), root)]
    while todo:
        path, directory = todo.pop()
        parts.append(Part(path=(*path, ""), directory=None, nodes=len(directory.nodes)))
        for name, node in directory.nodes.items():
            if isinstance(node, Directory):
                below, nodes = (*path, name), count(node) + 1
                if nodes > most:
                    above[below] = node
                    todo.append((below, node))
                else:
                    parts.append(Part(path=below, directory=node, nodes=nodes))
    return above, parts


def shares(parts: Sequence[Part], number: int) -> tuple[list[Part], ...]:
    """So many shares of the parts: the largest first, each to the share that is least by then."""
    found: tuple[list[Part], ...] = tuple([] for _ in range(number))
    sizes = [0] * number
    for part in sorted(parts, key=lambda part: part.nodes, reverse=True):
        least = sizes.index(min(sizes))
        found[least].append(part)
        sizes[least] += part.nodes
    return found
