# SPDX-License-Identifier: LGPL-2.1-or-later
"""The members of a layer's archive, for the reference extractor: read by tarfile, names parsed."""

import io
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

Path: TypeAlias = tuple[bytes, ...]  # () is the root
Kind: TypeAlias = Literal["directory", "file", "symlink", "special"]

OPAQUE = b".wh..wh..opq"
WHITEOUT = b".wh."
KINDS: Mapping[bytes, Kind] = {
    tarfile.DIRTYPE: "directory",
    tarfile.REGTYPE: "file",
    tarfile.AREGTYPE: "file",
    tarfile.SYMTYPE: "symlink",
    tarfile.CHRTYPE: "special",
    tarfile.BLKTYPE: "special",
    tarfile.FIFOTYPE: "special",
}


class Refused(Exception):
    """An image that describes no tree."""


@dataclass(slots=True, eq=False)
class Inode:
    """What a name leads to; hard links are names of one inode. `content` is a link's target too."""

    kind: Kind
    mode: int = 0o755
    uid: int = 0
    gid: int = 0
    content: bytes = b""
    xattrs: dict[str, bytes] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True)
class Entry:
    """A member of an archive: an inode, the target of a hard link, or what a whiteout removes."""

    path: Path
    inode: Inode | None = None
    hard_link: Path | None = None
    whiteout: bool = False
    opaque: bool = False


def entries(layer: bytes) -> Iterator[Entry]:
    """The members of an archive, names parsed. Raises Refused."""
    try:
        with tarfile.open(fileobj=io.BytesIO(layer), mode="r:", errors="surrogateescape") as tar:
            for member in tar:
                yield _entry(member, tar)
    except tarfile.TarError as error:
        raise Refused(str(error)) from error


def _entry(member: tarfile.TarInfo, tar: tarfile.TarFile) -> Entry:
    path = parse(_bytes(member.name))
    name = path[-1] if path else b""
    if name == OPAQUE:
        return Entry(path=path[:-1], opaque=True)
    if name.startswith(WHITEOUT):
        hidden = name.removeprefix(WHITEOUT)
        if hidden in (b"", b".", b"..") or hidden.startswith(WHITEOUT):
            raise Refused(f"{path}: a whiteout of nothing that can be")
        return Entry(path=(*path[:-1], hidden), whiteout=True)
    if member.type == tarfile.LNKTYPE:
        return Entry(path=path, hard_link=parse(_bytes(member.linkname)))
    kind = KINDS[member.type]
    content = b""
    if kind == "file":
        stream = tar.extractfile(member)
        assert stream is not None
        content = stream.read()
    elif kind == "symlink":
        content = _bytes(member.linkname)
    mode = 0o777 if kind == "symlink" else member.mode & 0o7777
    return Entry(
        path=path, inode=Inode(kind, mode, member.uid, member.gid, content, _xattrs(member))
    )


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _xattrs(member: tarfile.TarInfo) -> dict[str, bytes]:
    prefix = "SCHILY.xattr."
    return {
        key.removeprefix(prefix): _bytes(value)
        for key, value in member.pax_headers.items()
        if key.startswith(prefix)
    }


def parse(name: bytes) -> Path:
    """The path below the root that a name in an archive means. Raises Refused."""
    path = tuple(part for part in name.split(b"/") if part not in (b"", b"."))
    if b".." in path:
        raise Refused(f"{name!r} leads out of its directory")
    if any(part.startswith(WHITEOUT) for part in path[:-1]):
        raise Refused(f"{name!r} is below a whiteout")
    return path
