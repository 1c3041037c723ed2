# SPDX-License-Identifier: LGPL-2.1-or-later
"""An image's file system, looked at without checking it out.

Symbolic links are resolved inside the tree: whatever an image contains, nothing outside is read.
"""

import os
from collections.abc import Iterator

from atomic_sys.errors import AtomicSysError
from atomic_sys.frozen import frozen
from atomic_sys.model.layer import LayerPath, Metadata
from atomic_sys.store.objects import Checksum, ObjectKind
from atomic_sys.store.partial import is_partial
from atomic_sys.store.repository import Repository
from atomic_sys.store.tree import Directory, Node, find, resolve


@frozen
class TreeEntry:
    """One name of a tree. `target` is that of a symbolic link, `content` None for a directory.

    A file's extended attributes are not read, so its metadata has none of them.
    """

    path: LayerPath
    metadata: Metadata
    content: Checksum | None
    target: str | None
    size: int

    @property
    def is_directory(self) -> bool:
        """Whether it is a directory."""
        return self.content is None


class Tree:
    """The merged file system of an image; `commit` is the hex checksum of its commit.

    `empty` are its files without content, where that is known (images.empty_files()).
    Of a partial one the contents of regular files may be missing, symbolic links never are.
    """

    def __init__(
        self,
        repository: Repository,
        root: Directory,
        commit: str,
        empty: frozenset[Checksum] | None = None,
    ) -> None:
        self.repository = repository
        self.root = root
        self.commit = commit
        self.empty = empty
        self._partial = bool(commit) and is_partial(repository, bytes.fromhex(commit))

    def _link(self, content: Checksum) -> str | None:
        if self._partial and not self.repository.has(ObjectKind.FILE, content):
            return None
        return self.repository.content_info(content).target

    def _resolved(self, path: str) -> tuple[LayerPath, Node] | None:
        real = resolve(self.root, tuple(path.split("/")), self._link)
        node = None if real is None else find(self.root, real)
        return None if real is None or node is None else (real, node)

    def exists(self, path: str) -> bool:
        """Whether there is anything at this path, links followed inside the tree."""
        return self._resolved(path) is not None

    def read_file(self, path: str, limit: int) -> bytes | None:
        """The content of a file, links followed inside the tree; None where there is no file.

        Raises AtomicSysError for more than `limit` bytes, Damaged for a missing object.
        """
        found = self._resolved(path)
        if found is None or isinstance(found[1], Directory):
            return None
        with os.fdopen(self._open(found[1]), "rb") as stream:
            content = stream.read(limit + 1)
        if len(content) > limit:
            raise AtomicSysError(f"{path} of the image is larger than {limit} bytes")
        return content

    def _open(self, content: Checksum) -> int:
        return self.repository.open_content(content)

    def missing(self, path: str) -> Iterator[tuple[LayerPath, Checksum]]:
        """The files at and below this path whose content is not here, by their real paths.

        Links in the path are followed inside the tree, later ones are not.
        """
        found = None if not self._partial else self._resolved(path)
        if found is not None:
            yield from self._missing(*found)

    def _missing(self, path: LayerPath, node: Node) -> Iterator[tuple[LayerPath, Checksum]]:
        if isinstance(node, Directory):
            for name, below in sorted(node.nodes.items()):
                yield from self._missing((*path, name), below)
        elif not self.repository.has(ObjectKind.FILE, node):
            yield path, node

    def walk(self, prefix: str = "/") -> Iterator[TreeEntry]:
        """All that is below a directory, parents before their children, sorted by name.

        Links in the prefix are followed inside the tree, later ones are not; paths begin at the
        prefix. Nothing where there is no such directory. Raises Damaged.
        """
        found = self._resolved(prefix)
        if found is not None and isinstance(found[1], Directory):
            yield from self._walk(found[1], ())

    def _walk(self, directory: Directory, path: LayerPath) -> Iterator[TreeEntry]:
        for name, node in sorted(directory.nodes.items()):
            here = (*path, name)
            yield self._entry(here, node)
            if isinstance(node, Directory):
                yield from self._walk(node, here)

    def _entry(self, path: LayerPath, node: Node) -> TreeEntry:
        if isinstance(node, Directory):
            return TreeEntry(path=path, metadata=node.metadata, content=None, target=None, size=0)
        info = self.repository.content_info(node)
        return TreeEntry(
            path=path, metadata=info.metadata, content=node, target=info.target, size=info.size
        )
