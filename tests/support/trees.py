# SPDX-License-Identifier: LGPL-2.1-or-later
"""Trees on disk and trees of the reference extractor, made comparable."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path as FilePath

from tests.support.reference import Inode, Path, Tree

Node = tuple[str, int, int, int, bytes, tuple[tuple[str, bytes], ...]]


def seen(top: FilePath) -> dict[Path, Node]:
    """All nodes of a directory: kind, mode, owner, group, content or target, attributes."""
    return dict(_below(os.fsencode(top), ()))


def _below(place: bytes, path: Path) -> Iterator[tuple[Path, Node]]:
    info = os.lstat(place)
    kind, content = "special", b""
    if stat.S_ISDIR(info.st_mode):
        kind = "directory"
        for name in os.listdir(place):
            yield from _below(os.path.join(place, name), (*path, name))
    elif stat.S_ISLNK(info.st_mode):
        kind, content = "symlink", os.readlink(place)
    elif stat.S_ISREG(info.st_mode):
        kind = "file"
        with open(place, "rb") as stream:
            content = stream.read()
    keys = sorted(os.listxattr(place, follow_symlinks=False))
    xattrs = tuple((key, os.getxattr(place, key, follow_symlinks=False)) for key in keys)
    yield path, (kind, stat.S_IMODE(info.st_mode), info.st_uid, info.st_gid, content, xattrs)


def expected(tree: Tree) -> dict[Path, Node]:
    """The same of an extracted tree, less what OSTree's format cannot hold or we do not let in."""
    return {path: _node(inode) for path, inode in tree.items() if inode.kind != "special"}


def _node(inode: Inode) -> Node:
    xattrs = tuple(
        sorted((k, _read_back(k, v)) for k, v in inode.xattrs.items() if _is_kept(k, v, inode))
    )
    return inode.kind, inode.mode, inode.uid, inode.gid, inode.content, xattrs


def _is_kept(key: str, value: bytes, inode: Inode) -> bool:
    """libostree does not see empty attributes; the kernel lets no link have those of users."""
    known = key == "security.capability" or (key.startswith("user.") and inode.kind != "symlink")
    return known and value != b""


def _read_back(key: str, value: bytes) -> bytes:
    """Capabilities below the user 0 are everybody's, and Linux tells them in the older format."""
    everybody = key == "security.capability" and value[3:4] == b"\3" and value[20:] == bytes(4)
    return value[:3] + b"\2" + value[4:20] if everybody else value


def hard_links(tree: Tree) -> list[list[Path]]:
    """Names of one inode each. Empty files are made anew in each checkout, as libostree does."""
    groups: dict[int, list[Path]] = {}
    for path, inode in tree.items():
        if inode.kind in ("file", "symlink") and inode.content:
            groups.setdefault(id(inode), []).append(path)
    return [paths for paths in groups.values() if len(paths) > 1]
