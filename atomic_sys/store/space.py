# SPDX-License-Identifier: LGPL-2.1-or-later
"""The space of the store's file system: looked at before an import and during it, given back after
one that failed.

A part is left to everybody else on the host, so that an image that unpacks to more than anybody
thought ends before the disk is full.
"""

import contextlib
import os
import stat
from collections.abc import Iterable, Iterator

from atomic_sys.errors import Busy, NoSpace
from atomic_sys.fs.lock import LockKind
from atomic_sys.model.layer import Piece
from atomic_sys.store.integrity import ObjectName
from atomic_sys.store.objects import ObjectKind
from atomic_sys.store.prune import reachable_objects
from atomic_sys.store.recovery import recover, stale_marks, younger
from atomic_sys.store.repository import Repository, object_path

_RESERVED_PART = 33  # of the file system: 3 %, as libostree's min-free-space-percent has it
_RESERVED_MOST = 256 << 20  # bytes
_STEP = 32 << 20  # bytes that are written between two looks
_EACH = 4096  # bytes that a file takes besides its content, or instead of it


def require(repository: Repository, size: int) -> None:
    """Raises NoSpace when fewer bytes are free for the store on its file system."""
    found = os.fstatvfs(repository.fd)
    free = found.f_frsize * (found.f_bfree if os.geteuid() == 0 else found.f_bavail)
    kept = min(found.f_frsize * found.f_blocks // _RESERVED_PART, _RESERVED_MOST)
    if free - kept < size:
        raise NoSpace(
            f"there are {size} bytes to store, and {free} bytes are free,"
            f" of which {kept} are left to others"
        )


class Watch:
    """Looks at the space again and again while an import writes."""

    def __init__(self, repository: Repository) -> None:
        self._repository = repository
        self._left = _STEP  # bytes to write before the next look

    def chunks(self, chunks: Iterable[Piece], size: int) -> Iterable[Piece]:
        """The chunks of a file of so many bytes. Raises NoSpace, also while iterating."""
        self._left -= size + _EACH
        if self._left > 0:  # as for nearly every file
            return chunks
        return self._looked(chunks, size)

    def _looked(self, chunks: Iterable[Piece], size: int) -> Iterable[Piece]:
        if size < _STEP:
            self._left = _STEP
            require(self._repository, _STEP)
            return chunks
        self._left += size + _EACH
        require(self._repository, size)  # it may be laid out as a whole
        return self._watched(chunks)

    def _watched(self, chunks: Iterable[Piece]) -> Iterator[Piece]:
        for chunk in chunks:
            self._left -= len(chunk)
            if self._left <= 0:
                self._left = _STEP
                require(self._repository, _STEP)
            yield chunk


def give_back(repository: Repository) -> None:
    """Remove what failed imports wrote, unless somebody else uses the store. Raises OSError.

    Files that a checkout holds stay, and so do trees: they are small, and prune() knows better.
    Commits go, and before the files: for libostree one without them is damage.
    """
    with contextlib.suppress(Busy), repository.locked(LockKind.EXCLUSIVE, 0):
        reachable = reachable_objects(repository)
        doomed: dict[ObjectKind, list[ObjectName]] = {ObjectKind.COMMIT: [], ObjectKind.FILE: []}
        for name, info in younger(repository, stale_marks(repository)):
            held = info.st_nlink > 1 or info.st_size == 0 or not stat.S_ISREG(info.st_mode)
            if name.kind in doomed and not held and name not in reachable:
                doomed[name.kind].append(name)
        for names in doomed.values():
            for name in names:
                os.unlink(object_path(*name), dir_fd=repository.objects)
        recover(repository)
