# SPDX-License-Identifier: LGPL-2.1-or-later
"""The space of the store's file system: looked at before an import, given back after one failed."""

import contextlib
import os
import stat

from atomic_sys.errors import AtomicSysError, Busy
from atomic_sys.fs.lock import LockKind
from atomic_sys.store.objects import ObjectKind
from atomic_sys.store.prune import reachable_objects
from atomic_sys.store.recovery import recover, stale_marks, younger
from atomic_sys.store.repository import Repository, object_path


class NoSpace(AtomicSysError):
    """The store's file system is full, or would be."""

    def __init__(self, message: str) -> None:
        super().__init__(message, hint="make room, for example with `atomic images prune`")


def require(repository: Repository, size: int) -> None:
    """Raises NoSpace when fewer bytes are free on the store's file system."""
    found = os.fstatvfs(repository.fd)
    free = found.f_frsize * (found.f_bfree if os.geteuid() == 0 else found.f_bavail)
    if free < size:
        raise NoSpace(f"there are {size} bytes to store, and {free} bytes are free")


def give_back(repository: Repository) -> None:
    """Remove what failed imports wrote, unless somebody else uses the store. Raises OSError.

    Files that a checkout holds stay, and so do trees: they are small, and prune() knows better.
    """
    with contextlib.suppress(Busy), repository.locked(LockKind.EXCLUSIVE, 0):
        reachable = reachable_objects(repository)
        for name, info in younger(repository, stale_marks(repository)):
            held = info.st_nlink > 1 or info.st_size == 0 or not stat.S_ISREG(info.st_mode)
            if name.kind is ObjectKind.FILE and not held and name not in reachable:
                os.unlink(object_path(*name), dir_fd=repository.objects)
        recover(repository)
