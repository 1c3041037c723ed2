# SPDX-License-Identifier: LGPL-2.1-or-later
"""Where the frames of a zstd stream end, so that one that was cut off is known as such.

The library takes the end of its input for the end of the data, wherever it comes. The walker looks
at the frame and block headers only; what is in the blocks is the library's business.
Source: RFC 8878 section 3.1.
"""

from enum import Enum, auto

from atomic_sys.errors import AtomicSysError

_FRAME_MAGIC = 0xFD2FB528
_SKIPPABLE_MAGIC = 0x184D2A50  # and the fifteen above it
_MAX_BLOCK = 1 << 17  # bytes
_DICTIONARY_ID_SIZES = (0, 1, 2, 4)
_CONTENT_SIZE_SIZES = (0, 2, 4, 8)
_RLE, _RESERVED = 1, 3  # block types


class InvalidCompression(AtomicSysError):
    """Compressed data that is damaged, cut off, followed by garbage or of an unsupported kind."""


class _State(Enum):
    MAGIC = auto()
    SKIPPABLE_SIZE = auto()
    DESCRIPTOR = auto()
    BLOCK = auto()


_NEEDED = {_State.MAGIC: 4, _State.SKIPPABLE_SIZE: 4, _State.DESCRIPTOR: 1, _State.BLOCK: 3}


class FrameWalker:
    """Follows a stream that is fed in chunks of any size."""

    def __init__(self) -> None:
        self._state = _State.MAGIC
        self._have = b""
        self._skip = 0  # bytes until the next header
        self._checksum = 0  # bytes of the checksum at the end of this frame

    def feed(self, chunk: bytes) -> None:
        """Go on by these bytes. Raises InvalidCompression."""
        at = 0
        while at < len(chunk):
            if self._skip:
                step = min(self._skip, len(chunk) - at)
                self._skip -= step
            else:
                step = min(_NEEDED[self._state] - len(self._have), len(chunk) - at)
                self._have += chunk[at : at + step]
                if len(self._have) == _NEEDED[self._state]:
                    value = int.from_bytes(self._have, "little")
                    self._have = b""
                    self._header(value)
            at += step

    def finish(self) -> None:
        """Say that this is the end. Raises InvalidCompression unless it is the end of a frame."""
        if self._state is not _State.MAGIC or self._have or self._skip:
            raise InvalidCompression("the zstd data is cut off")

    def _header(self, value: int) -> None:
        match self._state:
            case _State.MAGIC if value == _FRAME_MAGIC:
                self._state = _State.DESCRIPTOR
            case _State.MAGIC if value & ~0xF == _SKIPPABLE_MAGIC:
                self._state = _State.SKIPPABLE_SIZE
            case _State.MAGIC:
                raise InvalidCompression("the zstd data is followed by something else")
            case _State.SKIPPABLE_SIZE:
                self._state, self._skip = _State.MAGIC, value
            case _State.DESCRIPTOR:
                self._state, self._skip = _State.BLOCK, _rest_of_header(value)
                self._checksum = 4 if value & 0x04 else 0
            case _State.BLOCK:
                self._block(value)

    def _block(self, value: int) -> None:
        last, kind, size = value & 1, value >> 1 & 3, value >> 3
        if kind == _RESERVED or size > _MAX_BLOCK:
            raise InvalidCompression("damaged zstd data: impossible block")
        self._skip = 1 if kind == _RLE else size
        if last:
            self._skip += self._checksum
            self._state = _State.MAGIC


def _rest_of_header(descriptor: int) -> int:
    """How many bytes of the frame header follow its descriptor."""
    single_segment = descriptor >> 5 & 1
    content_size = _CONTENT_SIZE_SIZES[descriptor >> 6] or single_segment
    return (1 - single_segment) + _DICTIONARY_ID_SIZES[descriptor & 3] + content_size
