# SPDX-License-Identifier: LGPL-2.1-or-later
"""Streams that promise their size and digest, and break off as soon as the promise is broken."""

import hashlib
from collections.abc import Iterable, Iterator
from typing import Protocol

from atomic_sys.errors import AtomicSysError
from atomic_sys.model.digest import Digest


class Reader(Protocol):
    """The one method of a file that a bounded read needs."""

    def read(self, size: int, /) -> bytes: ...


class ContentMismatch(AtomicSysError):
    """The bytes are not those that the descriptor promised."""


class TooLarge(AtomicSysError):
    """More bytes than the limit for this kind of document."""


def verified(chunks: Iterable[bytes], digest: Digest, size: int) -> Iterator[bytes]:
    """Pass the chunks on while they keep the promise of `size` bytes with this digest.

    The last chunk is passed on before the digest is known: whoever consumes the stream must not
    name its result before the stream has ended without an error.

    Raises ContentMismatch when there are more or fewer bytes, or other bytes.
    """
    hasher = hashlib.new(digest.algorithm)
    left = size
    for chunk in chunks:
        left -= len(chunk)
        if left < 0:
            raise ContentMismatch(f"{digest}: more than the promised {size} bytes")
        hasher.update(chunk)
        yield chunk
    if left:
        raise ContentMismatch(f"{digest}: {size - left} bytes instead of {size}")
    if hasher.hexdigest() != digest.hex:
        raise ContentMismatch(f"{digest}: the content does not match")


def read_limited(stream: Reader, limit: int, what: str) -> bytes:
    """Read a whole document of at most `limit` bytes.

    Raises TooLarge, naming the document, when there is more.
    """
    parts: list[bytes] = []
    left = limit + 1
    while left and (part := stream.read(min(left, 1 << 16))):
        parts.append(part)
        left -= len(part)
    if not left:
        raise TooLarge(f"{what} is larger than the limit of {limit} bytes")
    return b"".join(parts)
