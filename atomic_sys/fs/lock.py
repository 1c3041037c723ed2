# SPDX-License-Identifier: LGPL-2.1-or-later
"""Locks between processes: shared for readers and importers, exclusive for who removes.

Each is taken twice, by flock(2), which flock(1) and scripts use, and as an open file description
lock (fcntl(2), F_OFD_SETLK), which libostree uses for the `.lock` of its repositories: the two do
not see each other. The lock dies with its holder; the empty lock file stays.
"""

import contextlib
import fcntl
import os
import struct
import time
import zlib
from collections.abc import Callable, Iterator
from enum import Enum

from atomic_sys.errors import Busy
from atomic_sys.fs.directory import component

_POLL = 0.05  # seconds between two tries; flock(2) has no timeout of its own


class LockKind(Enum):
    """How many may hold it at once."""

    SHARED = fcntl.LOCK_SH
    EXCLUSIVE = fcntl.LOCK_EX


@contextlib.contextmanager
def locked(dfd: int, name: str, kind: LockKind, *, timeout: float, what: str) -> Iterator[None]:
    """Hold the lock file `name` below `dfd` for the length of the block.

    `timeout` is in seconds; `what` names the thing in the error. Raises Busy when another process
    holds it for longer, OSError when the file cannot be made.
    """
    with _lock_file(dfd, name) as fd:
        _acquire(lambda: _try(fd, kind), timeout, what)
        yield


@contextlib.contextmanager
def directory_locked(dfd: int, *, timeout: float, what: str) -> Iterator[None]:
    """Hold the directory itself exclusively, by flock(2): nothing is left in it.

    `timeout` is in seconds; `what` names it in the error. Raises Busy, OSError.
    """
    fd = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=dfd)
    try:
        _acquire(lambda: _flock(fd, LockKind.EXCLUSIVE), timeout, what)
        yield
    finally:
        os.close(fd)


@contextlib.contextmanager
def key_locked(dfd: int, name: str, key: str, *, timeout: float, what: str) -> Iterator[None]:
    """Hold one key of the lock file `name` exclusively: any number of locks, and one file.

    A key is a byte of the file, by its CRC, so that nothing is left of a key that nobody uses any
    more; two keys that share a byte only wait for each other. Raises as locked() does.
    """
    start = zlib.crc32(key.encode())
    with _lock_file(dfd, name) as fd:
        _acquire(lambda: _try_range(fd, LockKind.EXCLUSIVE, start, 1), timeout, what)
        yield


@contextlib.contextmanager
def _lock_file(dfd: int, name: str) -> Iterator[int]:
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    fd = os.open(component(name), flags, 0o600, dir_fd=dfd)
    try:
        yield fd
    finally:
        os.close(fd)


def _acquire(attempt: Callable[[], bool], timeout: float, what: str) -> None:
    deadline = time.monotonic() + timeout
    while not attempt():
        if time.monotonic() >= deadline:
            raise Busy(
                f"{what} is in use by another process",
                hint="wait for it, or give more time with --lock-timeout SECONDS",
            )
        time.sleep(_POLL)


def _flock(fd: int, kind: LockKind) -> bool:
    try:
        fcntl.flock(fd, kind.value | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _try(fd: int, kind: LockKind) -> bool:
    if not _flock(fd, kind):
        return False
    if _try_range(fd, kind, 0, 0):
        return True
    fcntl.flock(fd, fcntl.LOCK_UN)
    return False


def _try_range(fd: int, kind: LockKind, start: int, length: int) -> bool:
    """Take an open file description lock of these bytes; a length of 0 is the whole file."""
    record = fcntl.F_RDLCK if kind is LockKind.SHARED else fcntl.F_WRLCK
    request = struct.pack("hhqqi", record, os.SEEK_SET, start, length, 0)  # struct flock
    try:
        fcntl.fcntl(fd, fcntl.F_OFD_SETLK, request)
    except (BlockingIOError, PermissionError):
        return False
    return True
