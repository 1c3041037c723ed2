# SPDX-License-Identifier: LGPL-2.1-or-later
"""OSTree's objects as bytes: what is hashed to name a file, a directory, a commit.

An object is named by the sha256 of its bytes; for content (`.file`) these are a header and the
file's content. Integers inside are big-endian, but for the framing. Source: ostree-core.h of
libostree, "GVariant formats". The tests compare with libostree itself.
"""

import hashlib
import stat
import struct
from collections.abc import Mapping
from enum import Enum
from typing import TypeAlias, cast

from atomic_sys.errors import AtomicSysError, Damaged
from atomic_sys.frozen import frozen
from atomic_sys.model.layer import Metadata
from atomic_sys.store import variant
from atomic_sys.store.variant import Variant

Checksum: TypeAlias = bytes  # the 32 bytes of a sha256, not their hex digits
CHECKSUM_SIZE = 32

_DIRMETA = "(uuua(ayay))"
_FILE_HEADER = "(uuuusa(ayay))"
_COMMIT = "(a{sv}aya(say)sstayay)"
_NO_ID = 2**32 - 1  # chown(2) takes it for "leave it as it is"
NAME_MAX = 255  # bytes, on every Linux file system


class ObjectKind(Enum):
    """The kinds of objects by the suffix of their file names."""

    FILE = "file"
    DIRTREE = "dirtree"
    DIRMETA = "dirmeta"
    COMMIT = "commit"


@frozen
class Commit:
    """A commit: a tree and what is to be said about it; `timestamp` is in seconds since 1970."""

    metadata: Mapping[str, Variant]
    timestamp: int
    root_tree: Checksum
    root_metadata: Checksum
    parent: Checksum = b""
    subject: str = ""
    body: str = ""

    def text(self, key: str) -> str | None:
        """The metadata value of this key if there is one and it is a string."""
        value = self.metadata.get(key)
        if isinstance(value, tuple) and value[0] == "s" and isinstance(value[1], str):
            return value[1]
        return None


def checksum(content: bytes) -> Checksum:
    """The name of a metadata object with these bytes."""
    return hashlib.sha256(content).digest()


def valid_name(name: str) -> bool:
    """Whether libostree takes this for a file name, and a directory can have it."""
    if name in ("", ".", "..") or "/" in name or "\0" in name:
        return False
    if name.isascii():
        return len(name) <= NAME_MAX
    try:
        return len(name.encode("utf-8")) <= NAME_MAX
    except UnicodeEncodeError:
        return False


def file_header(metadata: Metadata, target: str | None = None) -> bytes:
    """What is hashed before a file's content; for a symbolic link to `target` it is all.

    Raises AtomicSysError for an owner or a mode that no file can have.
    """
    if target is None:
        fields = _owner_and_mode(metadata, stat.S_IFREG | metadata.mode)
    else:
        fields = _owner_and_mode(metadata, stat.S_IFLNK | 0o777)
    header = variant.serialise(_FILE_HEADER, (*fields, 0, target or "", _xattrs(metadata)))
    return struct.pack(">I4x", len(header)) + header


def encode_metadata(metadata: Metadata, kind: int = stat.S_IFDIR) -> bytes:
    """A dirmeta object; with another `kind` (S_IFREG, S_IFLNK) bare-user's `user.ostreemeta`.

    Raises AtomicSysError for an owner or a mode that no file can have.
    """
    fields = _owner_and_mode(metadata, kind | metadata.mode)
    return variant.serialise(_DIRMETA, (*fields, _xattrs(metadata)))


def decode_metadata(content: bytes) -> tuple[Metadata, int]:
    """The metadata, and the kind of file (S_IFDIR, S_IFREG, S_IFLNK).

    Raises Damaged.
    """
    value = variant.deserialise(_DIRMETA, content)
    uid, gid, mode, xattrs = cast(tuple[int, int, int, tuple[tuple[bytes, bytes], ...]], value)
    mode = _swap(mode)
    if any(name[-1:] != b"\0" for name, _ in xattrs):
        raise Damaged("damaged object: the name of an extended attribute has no end")
    return Metadata(
        _swap(uid),
        _swap(gid),
        stat.S_IMODE(mode),
        tuple((name[:-1], content) for name, content in xattrs),
    ), stat.S_IFMT(mode)


def _owner_and_mode(metadata: Metadata, mode: int) -> tuple[int, int, int]:
    owners = metadata.uid, metadata.gid
    if not all(0 <= owner < _NO_ID for owner in owners) or not 0 <= metadata.mode <= 0o7777:
        raise AtomicSysError(f"no file can have the owner {owners} and mode {metadata.mode:#o}")
    return _swap(metadata.uid), _swap(metadata.gid), _swap(mode)


def _swap(number: int) -> int:
    """The 32-bit number whose little-endian bytes are the big-endian ones of this number."""
    return int.from_bytes(number.to_bytes(4, "big"), "little")


def _xattrs(metadata: Metadata) -> tuple[tuple[bytes, bytes], ...]:
    """Sorted, without empty values: libostree does not see those when it reads a file."""
    return tuple((name + b"\0", value) for name, value in sorted(metadata.xattrs) if value)


def encode_commit(commit: Commit) -> bytes:
    """A commit object."""
    entries = tuple((key, value) for key, value in commit.metadata.items())
    timestamp = int.from_bytes(commit.timestamp.to_bytes(8, "big"), "little")
    about = (entries, commit.parent, (), commit.subject, commit.body, timestamp)
    return variant.serialise(_COMMIT, (*about, commit.root_tree, commit.root_metadata))


def decode_commit(content: bytes) -> Commit:
    """Read a commit object.

    Raises Damaged.
    """
    value = cast(tuple[Variant, ...], variant.deserialise(_COMMIT, content))
    entries = cast(tuple[tuple[str, Variant], ...], value[0])
    parent, root_tree, root_metadata = (cast(bytes, value[index]) for index in (1, 6, 7))
    if len(parent) not in (0, CHECKSUM_SIZE):
        raise Damaged("damaged commit: the size of its parent's checksum")
    if not len(root_tree) == len(root_metadata) == CHECKSUM_SIZE:
        raise Damaged("damaged commit: the size of a checksum")
    return Commit(
        metadata=dict(entries),
        parent=parent,
        subject=cast(str, value[3]),
        body=cast(str, value[4]),
        timestamp=int.from_bytes(cast(int, value[5]).to_bytes(8, "little"), "big"),
        root_tree=root_tree,
        root_metadata=root_metadata,
    )
