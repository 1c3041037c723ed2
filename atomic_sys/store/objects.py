# SPDX-License-Identifier: LGPL-2.1-or-later
"""OSTree's objects as bytes: what is hashed to name a file, a directory, a commit.

An object is named by the sha256 of its bytes; for content (`.file`) these are a header and the
file's content. Integers inside are big-endian, but for the framing. Source: ostree-core.h of
libostree, "GVariant formats". The tests compare with libostree itself.
"""

import hashlib
import stat
import struct
from collections.abc import Mapping, Sequence
from enum import Enum
from typing import NoReturn, TypeAlias, cast

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
_SHORT = 254  # bytes of what is framed by offsets of one byte, two of them at most
_NAME_MAX = 255  # bytes, on every Linux file system


class ObjectKind(Enum):
    """The kinds of objects by the suffix of their file names."""

    FILE = "file"
    DIRTREE = "dirtree"
    DIRMETA = "dirmeta"
    COMMIT = "commit"


@frozen
class DirTree:
    """The names of a directory, each kind in the order of strcmp(3)."""

    files: tuple[tuple[str, Checksum], ...]
    directories: tuple[tuple[str, Checksum, Checksum], ...]  # name, its tree, its metadata


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
        return len(name) <= _NAME_MAX
    try:
        return len(name.encode("utf-8")) <= _NAME_MAX
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


def encode_dirtree(tree: DirTree) -> bytes:
    """A dirtree object; by hand, since there is one for every directory of every image."""
    files = _frame([_named(name, content) for name, content in tree.files])
    directories = _frame([_named(name, *both) for name, *both in tree.directories])
    return _pack(files + directories, [len(files)])


def _named(name: str, *checksums: Checksum) -> bytes:
    """`(say)` or `(sayay)`: the offsets of all members but the last one, in reverse order."""
    text = name.encode("utf-8") + b"\0"
    ends = (len(text) + CHECKSUM_SIZE, len(text)) if len(checksums) > 1 else (len(text),)
    body = text + b"".join(checksums)
    return body + bytes(ends) if len(body) < _SHORT else _pack(body, ends)


def _frame(elements: Sequence[bytes]) -> bytes:
    """An array of elements of no fixed size."""
    ends: list[int] = []
    end = 0
    for element in elements:
        end += len(element)
        ends.append(end)
    return _pack(b"".join(elements), ends)


def _pack(body: bytes, ends: Sequence[int]) -> bytes:
    code = variant.offset_format(len(body), len(ends))
    return body + struct.pack(f"<{len(ends)}{code}", *ends)


def decode_dirtree(content: bytes) -> DirTree:
    """Read a dirtree object.

    Raises Damaged for malformed bytes and for names that a directory cannot have, has twice, or
    that are out of order.
    """
    size = variant.offset_size(len(content))
    middle = int.from_bytes(content[-size:], "little")
    if middle > len(content) - size:
        _refuse("its framing")
    files = tuple((name, content) for name, content in _unframe(content[:middle], 1))
    directories = tuple(
        (name, both[:CHECKSUM_SIZE], both[CHECKSUM_SIZE:])
        for name, both in _unframe(content[middle : len(content) - size], 2)
    )
    if not dict(files).keys().isdisjoint([name for name, _, _ in directories]):
        _refuse("a name that is there twice")
    return DirTree(files=files, directories=directories)


def _refuse(what: str) -> NoReturn:
    raise Damaged(f"damaged directory object: {what}")


def _unframe(content: bytes, checksums: int) -> list[tuple[str, bytes]]:
    """Name and checksums of each element of an array of `(say)` or `(sayay)`.

    Nothing but what encode_dirtree() makes passes: the elements lie side by side, their offsets
    are of the one width that there is, and each names the one place that it can.
    """
    if not content:
        return []
    size = variant.offset_size(len(content))
    first = int.from_bytes(content[-size:], "little")
    if first > len(content) or (len(content) - first) % size:
        _refuse("its framing")
    found: list[tuple[str, bytes]] = []
    start, last = 0, b""
    for at in range(first, len(content), size):
        end = int.from_bytes(content[at : at + size], "little")
        if not start < end <= first:
            _refuse("its framing")
        text, nul, rest = content[start:end].partition(b"\0")
        if not nul or len(text) > _NAME_MAX:
            _refuse(f"the name {text[:80]!r}")
        if text <= last:
            _refuse("the order of its names")
        _check_offsets(rest, len(text) + 1, checksums)
        found.append((_read_name(text), rest[: checksums * CHECKSUM_SIZE]))
        start, last = end, text
    return found


def _check_offsets(rest: bytes, begin: int, checksums: int) -> None:
    """Whether this is checksums and then the offsets of what lies before the last of them."""
    width = variant.offset_size(begin + len(rest))
    if len(rest) != checksums * (CHECKSUM_SIZE + width):
        _refuse("the size of a checksum")
    ends = (begin,) if checksums == 1 else (begin + CHECKSUM_SIZE, begin)
    expected = (
        bytes(ends) if width == 1 else b"".join(end.to_bytes(width, "little") for end in ends)
    )
    if rest[checksums * CHECKSUM_SIZE :] != expected:
        _refuse("its framing")


def _read_name(text: bytes) -> str:
    try:
        name = text.decode("utf-8")
    except UnicodeDecodeError:
        name = ""
    if not valid_name(name):
        _refuse(f"the name {text[:80]!r}")
    return name


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
