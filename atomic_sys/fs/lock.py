# SPDX-License-Identifier: LGPL-2.1-or-later
"""Locks between processes by flock(2): shared for readers and importers, exclusive for who removes.

The lock dies with its holder; the empty lock file stays.
"""

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
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
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    fd = os.open(component(name), flags, 0o600, dir_fd=dfd)
    try:
        deadline = time.monotonic() + timeout
        while not _try(fd, kind):
            if time.monotonic() >= deadline:
                raise Busy(
                    f"{what} is in use by another process",
                    hint="wait for it, or give more time with --lock-timeout SECONDS",
                )
            time.sleep(_POLL)
        yield
    finally:
        os.close(fd)


def _try(fd: int, kind: LockKind) -> bool:
    try:
        fcntl.flock(fd, kind.value | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
