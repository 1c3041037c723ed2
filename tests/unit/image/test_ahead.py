# SPDX-License-Identifier: LGPL-2.1-or-later
"""Reading ahead: same chunks, same errors, and no thread that stays."""

import threading
from collections.abc import Generator

import pytest

from atomic_sys.image.ahead import DEPTH, read_ahead


def test_the_same_chunks() -> None:
    chunks = [bytes([i]) for i in range(100)]
    assert list(read_ahead(c for c in chunks)) == chunks
    assert list(read_ahead(c for c in list[bytes]())) == []


def test_an_error_comes_in_its_place() -> None:
    def broken() -> Generator[bytes, None, None]:
        yield b"a"
        yield b"b"
        raise ValueError("boom")

    stream = read_ahead(broken())
    assert [next(stream), next(stream)] == [b"a", b"b"]
    with pytest.raises(ValueError, match="boom"):
        next(stream)


def test_closing_early_ends_everything() -> None:
    made = 0
    closed = threading.Event()

    def endless() -> Generator[bytes, None, None]:
        nonlocal made
        try:
            while True:
                made += 1
                yield b"x"
        finally:
            closed.set()

    before = threading.active_count()
    stream = read_ahead(endless())
    next(stream)
    stream.close()
    assert closed.is_set()
    assert threading.active_count() == before
    assert made <= DEPTH + 3, "it does not run away from its reader"
