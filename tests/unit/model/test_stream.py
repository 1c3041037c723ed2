# SPDX-License-Identifier: LGPL-2.1-or-later
"""Streams that keep their promise, and documents that keep their limit."""

import hashlib
import io
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atomic_sys.model.digest import Digest
from atomic_sys.model.stream import ContentMismatch, TooLarge, read_limited, verified


@given(chunks=st.lists(st.binary(max_size=20), max_size=10))
def test_the_promised_content(chunks: list[bytes]) -> None:
    content = b"".join(chunks)
    for digest in (Digest.of(content), Digest("sha512", hashlib.sha512(content).hexdigest())):
        assert list(verified(chunks, digest, len(content))) == chunks


@pytest.mark.parametrize(
    ("content", "size", "message"),
    [
        (b"", 3, "0 bytes instead of 3"),
        (b"ab", 3, "2 bytes instead of 3"),
        (b"abcd", 3, "more than the promised 3"),
        (b"abd", 3, "does not match"),
        (b"abc", 2, "more than"),
        (b"abc", 4, "3 bytes instead of 4"),
    ],
)
def test_broken_promises(content: bytes, size: int, message: str) -> None:
    with pytest.raises(ContentMismatch, match=message):
        list(verified([content], Digest.of(b"abc"), size))


def test_too_many_bytes_are_noticed_at_once() -> None:
    endless = itertools.repeat(b"x" * 10)
    stream = verified(endless, Digest.of(b""), 25)
    assert [next(stream), next(stream)] == [b"x" * 10] * 2
    with pytest.raises(ContentMismatch):
        next(stream)


class Trickle(io.BytesIO):
    """A file that gives one byte at a time, as a pipe may."""

    def read(self, size: int | None = -1, /) -> bytes:
        return super().read(min(1, size or 0))


@pytest.mark.parametrize("kind", [io.BytesIO, Trickle])
def test_limits(kind: type[io.BytesIO]) -> None:
    assert read_limited(kind(b""), 0, "it") == b""
    assert read_limited(kind(b"12345"), 5, "it") == b"12345"
    with pytest.raises(TooLarge, match="it is larger than the limit of 4 bytes"):
        read_limited(kind(b"12345"), 4, "it")


def test_an_endless_document() -> None:
    with open("/dev/zero", "rb") as stream, pytest.raises(TooLarge):
        read_limited(stream, 1 << 20, "it")
