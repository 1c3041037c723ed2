# SPDX-License-Identifier: LGPL-2.1-or-later
"""What an interrupted transaction left: found by its mark, looked at, and made harmless.

Objects are named only when they are whole, so a killed process leaves nothing to repair, only
bytes that are perhaps not on the disk yet. After a power cut (the mark is of another boot) a name
can be there without its bytes: every object younger than the mark is hashed, and removed unless it
is what its name says.
"""

import fcntl
import os

from atomic_sys.fs.atomic import sync_file_system
from atomic_sys.log import note
from atomic_sys.store.integrity import ObjectHasher, is_intact, objects
from atomic_sys.store.repository import Repository, object_path
from atomic_sys.store.transaction import MARK_SUFFIX, boot_id

_CLOCK_SLACK = 3600  # seconds by which a clock may have been set back between mark and object


def stale_marks(repository: Repository) -> tuple[str, ...]:
    """The marks whose owners are dead."""
    names = [name for name in os.listdir(_state(repository)) if name.endswith(MARK_SUFFIX)]
    return tuple(name for name in names if _is_stale(repository, name))


def _state(repository: Repository) -> str:
    return f"/proc/self/fd/{repository.fd}/state"


def _is_stale(repository: Repository, name: str) -> bool:
    try:
        fd = os.open(f"state/{name}", os.O_RDONLY | os.O_CLOEXEC, dir_fd=repository.fd)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(fd)
    return True


def recover(repository: Repository) -> int:
    """Deal with all stale marks; the number of damaged objects that were removed.

    The caller holds the repository's lock exclusively. Raises OSError.
    """
    removed = 0
    marks = stale_marks(repository)
    lost = [mark for mark in marks if _of_another_boot(repository, mark)]
    if lost:
        since = min(os.stat(f"state/{m}", dir_fd=repository.fd).st_ctime for m in lost)
        hasher = ObjectHasher(repository)
        for name in objects(repository):
            path = object_path(*name)
            info = os.stat(path, dir_fd=repository.objects, follow_symlinks=False)
            young = info.st_ctime >= since - _CLOCK_SLACK
            if young and not is_intact(hasher, name):
                os.unlink(path, dir_fd=repository.objects)
                removed += 1
        note(f"checked the store after an interrupted import: {removed} damaged objects removed")
    sync_file_system(repository.fd)
    for mark in marks:
        os.unlink(f"state/{mark}", dir_fd=repository.fd)
    return removed


def _of_another_boot(repository: Repository, mark: str) -> bool:
    with os.fdopen(os.open(f"state/{mark}", os.O_RDONLY, dir_fd=repository.fd), "rb") as stream:
        return stream.read(128).strip() != boot_id().encode("ascii")
