# SPDX-License-Identifier: LGPL-2.1-or-later
"""Which file systems are full, and what an error says then (statvfs(3))."""

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from atomic_sys.errors import AtomicSysError, NoSpace
from atomic_sys.fs.full import LEAST_BYTES, LEAST_FILES, first_full, named_as_cause

BLOCK = 4096
ROOMY = {
    "f_bsize": 1 << 20,  # the size of a good transfer, which counts nothing
    "f_frsize": BLOCK,
    "f_blocks": 1 << 20,
    "f_bfree": LEAST_BYTES // BLOCK,
    "f_bavail": LEAST_BYTES // BLOCK,
    "f_files": 1 << 16,
    "f_ffree": LEAST_FILES,
    "f_favail": LEAST_FILES,
    "f_flag": 0,
    "f_namemax": 255,
}


@pytest.fixture
def root(tmp_path: Path) -> Iterator[int]:
    """A root directory with /etc and /run."""
    for name in ("etc", "run"):
        (tmp_path / name).mkdir()
    fd = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    yield fd
    os.close(fd)


def answer(monkeypatch: pytest.MonkeyPatch, changes: dict[str, int]) -> None:
    """Whatever file system is asked for has these numbers."""
    found = os.statvfs_result(list((ROOMY | changes).values()))
    monkeypatch.setattr(os, "fstatvfs", lambda _fd: found)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, None),
        ({"f_bavail": LEAST_BYTES // BLOCK - 1}, "/etc"),  # what root keeps does not count
        ({"f_bavail": 0, "f_flag": os.ST_RDONLY}, None),
        ({"f_blocks": 0, "f_bavail": 0}, None),
        ({"f_favail": LEAST_FILES - 1}, "/etc"),
        ({"f_files": 0, "f_favail": 0}, None),
    ],
)
def test_full_by_these_numbers(
    root: int, monkeypatch: pytest.MonkeyPatch, changes: dict[str, int], expected: str | None
) -> None:
    answer(monkeypatch, changes)
    assert first_full(root, ("/not/there", "/etc", "/run")) == expected


def test_the_cause_is_named(root: int, monkeypatch: pytest.MonkeyPatch) -> None:
    answer(monkeypatch, {"f_bavail": 0})
    with pytest.raises(NoSpace) as caught, named_as_cause(root, ("/etc",)):
        raise AtomicSysError("Unit file base.service does not exist.", hint="look for it")
    assert str(caught.value) == (
        "Unit file base.service does not exist: no space left on the file system of /etc"
    )
    assert caught.value.hint == "make room, for example with `atomic images prune`"
    assert isinstance(caught.value.__cause__, AtomicSysError)


@pytest.mark.parametrize(
    "error",
    [OSError(errno.ENOSPC, "No space left on device"), OSError(errno.EDQUOT, "Quota exceeded"),
     NoSpace("too large"), KeyboardInterrupt()],
)  # fmt: skip
def test_what_says_so_itself_goes_on(
    root: int, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    answer(monkeypatch, {"f_bavail": 0})
    with pytest.raises(type(error)) as caught, named_as_cause(root, ("/etc",)):
        raise error
    assert caught.value is error


def test_with_room_the_error_is_what_it_was(root: int, monkeypatch: pytest.MonkeyPatch) -> None:
    answer(monkeypatch, {})
    with pytest.raises(AtomicSysError, match=r"^bad image$"), named_as_cause(root, ("/etc",)):
        raise AtomicSysError("bad image")
