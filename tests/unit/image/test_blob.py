# SPDX-License-Identifier: LGPL-2.1-or-later
"""Resumed downloads: which answers are the rest, and when to give up."""

import contextlib
from collections.abc import Iterator, Mapping
from unittest.mock import Mock

import pytest

from atomic_sys.image.blob import MIN_PROGRESS, MIN_TIME, check_rest, resumed
from atomic_sys.image.http_response import ConnectionBroke, NetworkError, Response
from atomic_sys.image.retry import Patience

SIZE = 100


@pytest.mark.parametrize("said", ["bytes 40-99/100", "bytes 40-99/*"])
def test_rest(said: str) -> None:
    check_rest(206, said, 40, SIZE)


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (200, "bytes 40-99/100"),
        (206, None),
        (206, ""),
        (206, "40-99/100"),
        (206, "bytes 40-99"),
        (206, "bytes=40-99/100"),
        (206, "bytes 39-99/100"),
        (206, "bytes 41-99/100"),
        (206, "bytes 40-98/100"),
        (206, "bytes 40-100/100"),
        (206, "bytes 40-99/101"),
        (206, "bytes 40-99/0100"),
        (206, "bytes */100"),
        (206, "bytes 40-/100"),
        (206, "bytes -99/100"),
        (206, "bytes 40-99/100, bytes 0-1/100"),
        (206, "items 40-99/100"),
        (206, "bytes 40-99/100\n"),
        (206, "bytes " + "4" * 5000 + "-99/100"),
    ],
)
def test_not_the_rest(status: int, said: str | None) -> None:
    with pytest.raises(NetworkError):
        check_rest(status, said, 40, SIZE)


class Blob:
    """A source of a blob that breaks after so many bytes, at these seconds."""

    def __init__(self, size: int, *breaks: tuple[int, float]) -> None:
        self.size = size
        self.breaks = list(breaks)
        self.offsets: list[int] = []
        self.sent = 0
        self.now = 0.0

    @contextlib.contextmanager
    def open(self, headers: Mapping[str, str]) -> Iterator[Response]:
        offset = int(headers.get("Range", "bytes=0-")[6:-1])
        self.offsets.append(offset)
        said = f"bytes {offset}-{self.size - 1}/{self.size}"
        response = Mock(status=206 if offset else 200, header=lambda _: said)
        response.chunks = lambda: self.chunks(offset)
        yield response

    def chunks(self, offset: int) -> Iterator[bytes]:
        length = self.size - offset
        if self.breaks:
            length, self.now = self.breaks.pop(0)
            self.sent += length
            yield bytes(length)
            raise ConnectionBroke(f"broke at {offset + length}")
        self.sent += length
        yield bytes(length)

    def read(self) -> int:
        patience = Patience(sleep=lambda _: None, clock=lambda: self.now)
        return sum(len(chunk) for chunk in resumed(self.open, self.size, patience))


def test_twenty_breaks_and_each_byte_once() -> None:
    size = 64 << 20
    blob = Blob(size, *[(MIN_PROGRESS, 0.0)] * 20)
    assert blob.read() == blob.sent == size
    assert blob.offsets == [MIN_PROGRESS * i for i in range(21)]


@pytest.mark.parametrize(
    ("breaks", "tries"),
    [
        ([(5, 0.0), (5, 1.0)], 2),
        ([(0, 0.0), (0, 1.0)], 2),
        ([(5, 0.0), (MIN_PROGRESS, 1.0), (MIN_PROGRESS - 1, 2.0)], 3),
        ([(5, 0.0), (5, MIN_TIME), (5, MIN_TIME + 1)], 3),
    ],
)
def test_gives_up_without_progress(breaks: list[tuple[int, float]], tries: int) -> None:
    blob = Blob(64 << 20, *breaks)
    with pytest.raises(ConnectionBroke):
        blob.read()
    assert len(blob.offsets) == tries


def test_what_is_whole_is_not_asked_for_again() -> None:
    blob = Blob(SIZE, (SIZE, 0.0))
    with pytest.raises(ConnectionBroke):
        blob.read()
    assert blob.offsets == [0]
