# SPDX-License-Identifier: LGPL-2.1-or-later
"""Syncing while more is written."""

import errno
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from atomic_sys.fs import write_back
from atomic_sys.fs.write_back import written_back

LONG = 60.0  # seconds; the tests below end long before


@pytest.fixture(autouse=True)
def _without_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(write_back, "_PAUSE", 0.001)


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[int]:
    fd = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    yield fd
    os.close(fd)


def test_syncs_as_long_as_the_block_takes(directory: int, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []
    enough = threading.Event()

    def sync(fd: int) -> None:
        assert os.path.samestat(os.fstat(fd), os.fstat(directory))
        synced.append(fd)
        if len(synced) >= 3:
            enough.set()

    monkeypatch.setattr(write_back, "sync_file_system", sync)
    with written_back(directory):
        assert enough.wait(LONG)
    assert directory not in synced  # its errors are for who syncs at the end
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(synced[0])
    assert "write-back" not in {thread.name for thread in threading.enumerate()}


def test_an_error_is_for_who_syncs_at_the_end(
    directory: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = threading.Event()

    def sync(_: int) -> None:
        tried.set()
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(write_back, "sync_file_system", sync)
    with written_back(directory):
        assert tried.wait(LONG)


def test_an_error_of_the_block_comes_through(directory: int) -> None:
    with pytest.raises(KeyError), written_back(directory):
        raise KeyError("x")
