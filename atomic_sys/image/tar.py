# SPDX-License-Identifier: LGPL-2.1-or-later
"""A streaming tar reader: ustar, GNU, PAX and V7, over chunks of any size.

The size in an extended header holds for the file after it and for nothing in between
(CVE-2025-62518). Refused are members with two extensions of a kind, sparse files, and bytes after
the end of the archive that are not zero. tarfile is the oracle in the tests; it is half as fast.
"""

import contextlib
from collections.abc import Iterable, Iterator

from atomic_sys.image import tar_header
from atomic_sys.image.tar_header import (
    BLOCK,
    ZERO_BLOCK,
    InvalidLayer,
    Kind,
    Member,
    number,
    plain,
    text,
)
from atomic_sys.model.layer import Metadata, Piece
from atomic_sys.model.limits import DEFAULT_LIMITS, HEADER
from atomic_sys.model.manifest import MAX_SIZE

_NOT_IN_GLOBAL = (b"path", b"linkpath", b"size", b"uid", b"gid")
_FLAGS = {int(kind): kind for kind in Kind}
_REGULAR = (Kind.OLD_REGULAR, Kind.REGULAR, Kind.CONTIGUOUS)
_END = (b"", ZERO_BLOCK)
_LONG_NAME, _LONG_LINK, _PAX, _GLOBAL = b"LKxg"
_EXTENSIONS = (_LONG_NAME, _LONG_LINK, _PAX, _GLOBAL)
_UNSUPPORTED = {ord("S"): "sparse files", ord("M"): "multi-volume archives"}


class TarInput:
    """The chunks as one stream of bytes, with an offset."""

    __slots__ = ("_at", "_chunk", "_chunks", "_start")

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)
        self._chunk = b""
        self._at = 0  # in the chunk
        self._start = 0  # of the chunk in the stream

    @property
    def offset(self) -> int:
        """How many bytes have been read or skipped."""
        return self._start + self._at

    def block(self) -> bytes:
        """The next block; at the end of the stream, nothing. Raises InvalidLayer."""
        end = self._at + BLOCK
        if end <= len(self._chunk):
            block = self._chunk[self._at : end]
            self._at = end
            return block
        if self._at == len(self._chunk) and not self._more():
            return b""
        return self.take(BLOCK)

    def take(self, size: int) -> bytes:
        """Exactly `size` bytes. Raises InvalidLayer when there are fewer."""
        return b"".join(self._pieces(size))

    def content(self, size: int) -> Iterable[Piece]:
        """The next `size` bytes in chunks. Raises InvalidLayer, while iterating, for fewer.

        What is there already comes as a tuple of one view: most files do, and are never copied.
        """
        end = self._at + size
        if end <= len(self._chunk):
            piece = memoryview(self._chunk)[self._at : end]
            self._at = end
            return (piece,) if piece else ()
        return self._pieces(size)

    def skip_to(self, offset: int) -> None:
        """Go on from there. Raises InvalidLayer when the stream ends before."""
        end = offset - self._start
        if end <= len(self._chunk):
            self._at = end
            return
        for _ in self._pieces(offset - self.offset):
            pass

    def leave(self, end: int) -> None:
        """Go on behind a content that ends at this offset, and behind the zeros that follow it.

        At the end of the stream these may be missing: `umoci insert` 0.4.7 closes no archive, and
        the readers of Go and Python take it all the same. Raises InvalidLayer when the stream ends
        before.
        """
        padding = -end % BLOCK  # a header is at a multiple of BLOCK
        at = end + padding - self._start
        if at <= len(self._chunk):
            self._at = at
            return
        self.skip_to(end)
        with contextlib.suppress(InvalidLayer):
            for _ in self._pieces(padding):
                pass

    def drain(self) -> None:
        """Read to the end of the stream. Raises InvalidLayer when there is anything but zeros."""
        while True:
            rest = self._chunk[self._at :] if self._at else self._chunk
            if rest.count(0) != len(rest):
                raise InvalidLayer("there is something after the end of the tar archive")
            if not self._more():
                return

    def _pieces(self, size: int) -> Iterator[bytes]:
        while size > 0:
            if self._at == len(self._chunk) and not self._more():
                raise InvalidLayer("the tar archive is cut off")
            piece = self._chunk[self._at : self._at + size]
            self._at += len(piece)
            size -= len(piece)
            yield piece

    def _more(self) -> bool:
        """Go to the next chunk that is not empty; False at the end."""
        self._start += len(self._chunk)
        self._at = 0
        self._chunk = b""
        for chunk in self._chunks:
            if chunk:
                self._chunk = chunk
                return True
        return False


class TarReader:
    """The members of an archive, in order."""

    def __init__(self, source: TarInput, header_limit: int = DEFAULT_LIMITS.header) -> None:
        """`header_limit` is in bytes, of an extended header or a long name."""
        self._input = source
        self._header_limit = header_limit
        self._pax: dict[bytes, bytes] | None = None
        self._long_name: bytes | None = None
        self._long_link: bytes | None = None
        self._extended = False  # whether there is any of these three

    def members(self) -> Iterator[Member]:
        """Read the archive and whatever follows it.

        The content of a member is `source.content(member.size)`; what is left of it when the next
        member is asked for is skipped. Raises InvalidLayer.
        """
        source = self._input
        while (header := source.block()) not in _END:
            member = None if self._extended else plain(header)
            if member is None:
                tar_header.check_sum(header)
                if header[156] in _EXTENSIONS:
                    self._extend(header[156], header)
                    continue
                member = self._member(header)
            end = source._start + source._at + member.size
            yield member
            source.leave(end)
        if self._extended:
            raise InvalidLayer("an extended header at the end of the tar archive")
        if header and source.block() not in _END:
            raise InvalidLayer("a lone zero block in the tar archive")
        source.drain()

    def _member(self, header: bytes) -> Member:
        kind = _FLAGS.get(header[156])
        if kind is None:
            flag = header[156]
            what = _UNSUPPORTED.get(flag, f"members of type {chr(flag)!r}")
            raise InvalidLayer(f"{what} are not supported")
        if self._extended:
            member = self._extended_member(kind, header)
        else:
            member = Member(
                kind,
                tar_header.full_name(header),
                text(header[157:257]) if header[157] else b"",
                number(header[124:136], "size") if kind in _REGULAR else 0,
                tar_header.metadata(header[100:124]),
            )
        if member.size > MAX_SIZE:
            raise InvalidLayer(f"impossible size {member.size} of {member.name[:255]!r}")
        if kind is Kind.OLD_REGULAR and member.name.endswith(b"/"):
            return member._replace(kind=Kind.DIRECTORY, size=0)  # how V7 writes it
        return member

    def _extended_member(self, kind: Kind, header: bytes) -> Member:
        """The member, with what came before its header on top, which then is used up."""
        pax = self._pax or {}
        name, target = pax.get(b"path"), pax.get(b"linkpath")
        if (name and self._long_name is not None) or (target and self._long_link is not None):
            raise InvalidLayer("a member with two long names")
        size = pax.get(b"size") or None
        plain = tar_header.metadata(header[100:124])
        member = Member(
            kind,
            name or self._long_name or tar_header.full_name(header),
            target or self._long_link or text(header[157:257]),
            _size(header, size) if kind in _REGULAR else 0,
            Metadata(
                _owner(pax, b"uid", plain.uid),
                _owner(pax, b"gid", plain.gid),
                plain.mode,
                tar_header.pax_xattrs(pax),
            ),
        )
        self._pax = self._long_name = self._long_link = None
        self._extended = False
        return member

    def _extend(self, flag: int, header: bytes) -> None:
        """Read an extension of the next member, or of all of them."""
        size = number(header[124:136], "size of an extended header")
        if size > self._header_limit:
            what = f"an extended header of {size} bytes, more than {self._header_limit}"
            raise tar_header.exceeded(what, HEADER)
        end = self._input.offset + size + (-size % BLOCK)
        body = self._input.take(size)
        self._input.skip_to(end)
        match flag:
            case _ if flag == _GLOBAL:
                _check_global(tar_header.pax_records(body))
            case _ if flag == _PAX and self._pax is None:
                self._pax = tar_header.pax_records(body)
                for key in (b"path", b"linkpath"):
                    tar_header.pax_name(self._pax.get(key, b""), key.decode())
            case _ if flag == _LONG_NAME and self._long_name is None:
                self._long_name = text(body)
            case _ if flag == _LONG_LINK and self._long_link is None:
                self._long_link = text(body)
            case _:
                raise InvalidLayer("two extended headers of a kind before one member")
        if b"" in (self._long_name, self._long_link):
            raise InvalidLayer("an empty long name")
        self._extended = self._extended or flag != _GLOBAL


def _size(header: bytes, pax_size: bytes | None) -> int:
    if pax_size is None:
        return number(header[124:136], "size")
    return tar_header.pax_number(pax_size, "size")


def _owner(records: dict[bytes, bytes], key: bytes, plain: int) -> int:
    value = records.get(key)
    if not value:
        return plain
    return tar_header.owner(tar_header.pax_number(value, key.decode()))


def _check_global(records: dict[bytes, bytes]) -> None:
    """Readers disagree on how long a global header holds, so it may not say what matters."""
    for key in records:
        if key in _NOT_IN_GLOBAL or key.startswith(tar_header.XATTR):
            raise InvalidLayer(f"a global extended header sets {key.decode(errors='replace')}")
