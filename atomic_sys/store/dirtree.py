# SPDX-License-Identifier: LGPL-2.1-or-later
"""Directories as objects: `(a(say)a(sayay))`, files and directories with their checksums.

By hand and not by variant.py, since there is one for every directory of every image, and each is
read or written by most of what we do. Nothing that is not byte for byte what encode_dirtree() makes
is read. Source: ostree-core.h of libostree, OSTREE_TREE_GVARIANT_FORMAT; the GVariant
specification, "Framing Offsets".
"""

import operator
import struct
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate
from typing import NamedTuple, NoReturn

from atomic_sys.errors import Damaged
from atomic_sys.store import variant
from atomic_sys.store.objects import CHECKSUM_SIZE, NAME_MAX, Checksum


class DirTree(NamedTuple):
    """The names of a directory, each kind in the order of strcmp(3)."""

    files: tuple[tuple[str, Checksum], ...]
    directories: tuple[tuple[str, Checksum, Checksum], ...]  # name, its tree, its metadata


class _Form:
    """How an element of so many checksums lies there: name, NUL, checksums, and a trailer.

    That has the offsets of where each member but the last one ends, the last of them first, and is
    known by the length of the name.
    """

    def __init__(self, checksums: int) -> None:
        self.size = checksums * CHECKSUM_SIZE
        ends = range(1, self.size, CHECKSUM_SIZE)
        self.trailers = [
            struct.pack(
                f"<{checksums}{variant.offset_format(length + 1 + self.size, checksums)}",
                *(length + end for end in reversed(ends)),
            )
            for length in range(NAME_MAX + 1)
        ]
        # What there is behind a name with offsets of one byte, which all but very long ones have,
        # and of two.
        self.short, self.long = (1 + self.size + len(self.trailers[at]) for at in (0, NAME_MAX))


_FILES, _DIRECTORIES = _Form(1), _Form(2)
_CODES = {1: "B", 2: "H", 4: "I", 8: "Q"}  # of offsets by their size


def encode_dirtree(tree: DirTree) -> bytes:
    """A dirtree object. Its names are valid_name()s."""
    files = _frame(_FILES, tree.files)
    directories = ((name, below + metadata) for name, below, metadata in tree.directories)
    return _pack(files + _frame(_DIRECTORIES, directories), [len(files)])


def _frame(form: _Form, elements: Iterable[tuple[str, bytes]]) -> bytes:
    """An array of such elements."""
    trailers = form.trailers
    found = [
        (text := name.encode("utf-8")) + b"\0" + checksums + trailers[len(text)]
        for name, checksums in elements
    ]
    return _pack(b"".join(found), list(accumulate(map(len, found))))


def _pack(body: bytes, ends: Sequence[int]) -> bytes:
    code = variant.offset_format(len(body), len(ends))
    return body + struct.pack(f"<{len(ends)}{code}", *ends)


def _is_wide(body: int, count: int, size: int) -> bool:
    """Whether so many offsets of this size are wider than they are to be behind such a body."""
    half = size // 2
    return size > 1 and body + half * count < 1 << (8 * half)


def decode_dirtree(content: bytes) -> DirTree:
    """Read a dirtree object.

    Raises Damaged for malformed bytes and for names that a directory cannot have, has twice, or
    that are out of order.
    """
    size = variant.offset_size(len(content))
    middle, end = int.from_bytes(content[-size:], "little"), len(content) - size
    if middle > end or _is_wide(end, 1, size):
        _refuse("its framing")
    files = tuple(_unframe(_FILES, content[:middle]))
    directories = tuple(
        (name, both[:CHECKSUM_SIZE], both[CHECKSUM_SIZE:])
        for name, both in _unframe(_DIRECTORIES, content[middle:end])
    )
    if directories and not dict(files).keys().isdisjoint([name for name, _, _ in directories]):
        _refuse("a name that is there twice")
    return DirTree(files=files, directories=directories)


def _refuse(what: str) -> NoReturn:
    raise Damaged(f"damaged directory object: {what}")


def _unframe(form: _Form, content: bytes) -> Iterator[tuple[str, bytes]]:
    """Name and checksums of each element of an array.

    The elements lie side by side, and there is one place for everything in them.
    """
    if not content:
        return iter(())
    size, trailers = form.size, form.trailers
    texts: list[bytes] = []
    checksums: list[bytes] = []
    start = 0
    for end in _ends(content):
        nul = end - (form.short if end - start < 1 << 8 else form.long)
        last = nul + 1 + size
        if not 0 < nul - start <= NAME_MAX or content[nul] or (
            content[last:end] != trailers[nul - start]
        ):  # fmt: skip
            _refuse("the frame of a name")
        texts.append(content[start:nul])
        checksums.append(content[nul + 1 : last])
        start = end
    return zip(_names(texts), checksums, strict=True)


def _ends(content: bytes) -> tuple[int, ...]:
    """Where the elements of an array end; none of them behind the last, which ends the elements."""
    size = variant.offset_size(len(content))
    first = int.from_bytes(content[-size:], "little")
    count, rest = divmod(len(content) - first, size)
    if count < 1 or rest or _is_wide(first, count, size):
        _refuse("its framing")
    ends: tuple[int, ...] = struct.unpack_from(f"<{count}{_CODES[size]}", content, first)
    if max(ends) != first:
        _refuse("its framing")
    return ends


def _names(texts: Sequence[bytes]) -> list[str]:
    """The names that these bytes are: all at once, for what is wrong is wrong with the directory.

    A name is valid if valid_name() says so; it is neither empty nor too long here.
    """
    if not all(map(operator.lt, texts, texts[1:])):
        _refuse("the order of its names")
    joined = b"\0".join(texts)
    try:
        names = joined.decode("utf-8").split("\0")
    except UnicodeDecodeError:
        _refuse("a name that is not UTF-8")
    if len(names) != len(texts) or b"/" in joined or b"." in texts or b".." in texts:
        _refuse("a name that no file can have")
    return names
