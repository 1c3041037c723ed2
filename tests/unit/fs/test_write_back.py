# SPDX-License-Identifier: LGPL-2.1-or-later
"""Syncing while more is written."""

import errno
import os
import threading

import pytest

from atomic_sys.fs import write_back
from atomic_sys.fs.write_back import written_back

LONG = 60.0  # seconds; the tests below end long before


@pytest.fixture(autouse=True)
def _without_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(write_back, "_PAUSE", 0.001)


def test_syncs_as_long_as_the_block_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []
    enough = threading.Event()

    def sync(fd: int) -> None:
        synced.append(fd)
        if len(synced) >= 3:
            enough.set()

    monkeypatch.setattr(write_back, "sync_file_system", sync)
    with written_back(7):
        assert enough.wait(LONG)
    assert set(synced) == {7}
    assert "write-back" not in {thread.name for thread in threading.enumerate()}


def test_an_error_is_for_who_syncs_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    tried = threading.Event()

    def sync(_: int) -> None:
        tried.set()
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(write_back, "sync_file_system", sync)
    with written_back(7):
        assert tried.wait(LONG)


def test_an_error_of_the_block_comes_through() -> None:
    fd = os.open("/", os.O_RDONLY | os.O_DIRECTORY)
    try:
        with pytest.raises(KeyError), written_back(fd):
            raise KeyError("x")
    finally:
        os.close(fd)
