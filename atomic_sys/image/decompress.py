# SPDX-License-Identifier: LGPL-2.1-or-later
"""Layers as tar streams, whatever they are packed in: told by their first bytes, not by their type.

Memory is bounded, however small the input for an output is; an input that ends early and bytes that
belong to no member or frame are errors. Sources: RFC 1952 (gzip), RFC 8878 (zstd).
"""

import zlib
from collections.abc import Callable, Iterable, Iterator
from types import ModuleType
from typing import IO, cast

from atomic_sys.image.zstd_frames import FrameWalker, InvalidCompression

OUTPUT = 1 << 20  # bytes of the largest chunk that comes out
_INPUT = 1 << 18  # bytes fed at once, at most
_INPUT_OF_MANY = 1 << 16  # the same where there are many members: each end copies what is left
_ZSTD_WINDOW = 1 << 27  # bytes; the limit that zstd itself has by default
_GZIP_WBITS = 31  # a gzip header and trailer around the deflated data, both checked
_GZIP_FLAGS = 3  # the byte of a gzip header that says what else is in it
_FLAG_HEADER_CHECKSUM = 2
_MAGIC_LENGTH = 6  # bytes

_Decompressor = Callable[[Iterable[bytes]], Iterator[bytes]]
_UNSUPPORTED = ((b"\xfd7zXZ\0", "xz"), (b"BZh", "bzip2"), (b"\x04\x22\x4d\x18", "lz4"))


def decompressed(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The uncompressed stream, in chunks of at most OUTPUT bytes unless it came uncompressed.

    Raises InvalidCompression.
    """
    source = iter(chunks)
    head = b""
    while len(head) < _MAGIC_LENGTH and (chunk := next(source, None)) is not None:
        head += chunk
    if head:
        yield from _kind(head)(_joined(head, source))


def is_compressed(head: bytes) -> str | None:
    """By what a stream that begins with these bytes is compressed, if it is."""
    for magic, name in ((b"\x1f\x8b", "gzip"), (b"\x28\xb5\x2f\xfd", "zstd"), *_UNSUPPORTED):
        if head.startswith(magic):
            return name
    return None


def _kind(head: bytes) -> _Decompressor:
    """What can read a stream that begins with these bytes."""
    if head.startswith(b"\x1f\x8b"):
        return _gunzip
    if head.startswith(b"\x28\xb5\x2f\xfd") or (head[1:4] == b"\x2a\x4d\x18" and head[0] >> 4 == 5):
        return _unzstd
    for magic, name in _UNSUPPORTED:
        if head.startswith(magic):
            raise InvalidCompression(f"layers compressed by {name} are not supported")
    return iter


def _joined(head: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    yield head
    yield from rest


class _Pieces:
    """The chunks, cut where they are larger than a decompressor should see at once."""

    def __init__(self, chunks: Iterable[bytes], most: int) -> None:
        self.most = most  # bytes; whoever iterates may change it
        self._chunks = chunks

    def __iter__(self) -> Iterator[bytes]:
        for chunk in self._chunks:
            start = 0
            while start < len(chunk):
                piece = chunk[start : start + self.most]  # no copy of a chunk that is no larger
                start += len(piece)
                yield piece


def _gunzip(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """All members of a gzip stream; between and after them there is nothing."""
    fast = _fast_zlib()
    errors = (zlib.error, fast.error)
    member = None
    begun = b""  # of a member of which we have not seen enough
    pieces = _Pieces(chunks, _INPUT)
    for piece in pieces:
        data, begun = begun + piece, b""
        more = True
        while data or (more and member is not None):
            if member is None:
                if len(data) <= _GZIP_FLAGS:
                    begun = data
                    break
                # isal takes a header with a checksum for damaged when it comes in two pieces.
                module = zlib if data[_GZIP_FLAGS] & _FLAG_HEADER_CHECKSUM else fast
                member = module.decompressobj(wbits=_GZIP_WBITS)
            try:
                output = member.decompress(data, OUTPUT)
            except errors as error:
                raise InvalidCompression(f"damaged gzip data: {error}") from None
            if output:
                yield output
            more = len(output) == OUTPUT  # there may be more to come without more input
            data = member.unconsumed_tail
            if member.eof:
                data, member = member.unused_data, None
                pieces.most = _INPUT_OF_MANY
    if member is not None or begun:
        raise InvalidCompression("the gzip data is cut off, or followed by something else")


def _fast_zlib() -> ModuleType:
    """Something with the interface of zlib: isal inflates twice as fast, but need not be there."""
    try:
        # Here since it is optional, and only verbs that pull need it.
        from isal import isal_zlib
    except ImportError:
        return zlib
    module: ModuleType = isal_zlib
    return module


class _Source:
    """The pieces as a file for the library, every byte of it seen by the walker first."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._pieces = iter(_Pieces(chunks, _INPUT_OF_MANY))
        self._walker = FrameWalker()

    def read(self, _size: int) -> bytes:
        """The next piece, which is never empty before the end."""
        for piece in self._pieces:
            if piece:
                self._walker.feed(piece)
                return piece
        self._walker.finish()
        return b""


def _unzstd(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """All frames of a zstd stream, skippable ones left out."""
    # Here since only verbs that pull need it.
    import zstandard

    decompressor = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW)
    source = cast("IO[bytes]", _Source(chunks))  # it asks for nothing but read()
    reader = decompressor.stream_reader(source, read_size=_INPUT_OF_MANY, read_across_frames=True)
    try:
        while output := reader.read(OUTPUT):
            yield output
    except zstandard.ZstdError as error:
        raise InvalidCompression(f"damaged zstd data: {error}") from None
