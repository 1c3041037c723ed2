# SPDX-License-Identifier: LGPL-2.1-or-later
"""What an interrupted transaction left: found by its mark, looked at, and made harmless.

A killed process leaves objects that it had not finished, which their time tells. After a power cut
(the mark is of another boot) a name can be there without its bytes, so that every object younger
than the mark is suspect. What is suspect is hashed, and removed unless it is what its name says.
"""

import fcntl
import os
from collections.abc import Iterator, Sequence

from atomic_sys.fs.atomic import sync_file_system
from atomic_sys.log import note
from atomic_sys.store.integrity import ObjectHasher, ObjectName, is_finished, is_intact, objects
from atomic_sys.store.objects import ObjectKind
from atomic_sys.store.repository import Repository, object_path
from atomic_sys.store.transaction import MARK_SUFFIX, boot_id

_CLOCK_SLACK = 3600  # seconds by which a clock may have been set back between mark and object


def stale_marks(repository: Repository) -> tuple[str, ...]:
    """The marks whose owners are dead."""
    names = [name for name in os.listdir(_state(repository)) if name.endswith(MARK_SUFFIX)]
    return tuple(name for name in names if _is_stale(repository, name))


def has_live_marks(repository: Repository) -> bool:
    """Whether anybody, this process too, is writing objects at this time."""
    names = [name for name in os.listdir(_state(repository)) if name.endswith(MARK_SUFFIX)]
    return any(not _is_stale(repository, name) for name in names)


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
    lost = any(_of_another_boot(repository, mark) for mark in marks)
    hasher = ObjectHasher(repository)
    for name, info in younger(repository, marks):
        unfinished = name.kind is ObjectKind.FILE and not is_finished(info)
        if not (unfinished or lost):
            continue
        path = object_path(*name)
        if not is_intact(hasher, name):
            os.unlink(path, dir_fd=repository.objects)
            removed += 1
        elif unfinished:  # somebody touched it by way of a checkout, or was killed just before
            os.utime(path, (0, 0), dir_fd=repository.objects, follow_symlinks=False)
    if lost:
        note(f"checked the store after an interrupted import: {removed} damaged objects removed")
    sync_file_system(repository.fd)
    for mark in marks:
        os.unlink(f"state/{mark}", dir_fd=repository.fd)
    return removed


def younger(
    repository: Repository, marks: Sequence[str]
) -> Iterator[tuple[ObjectName, os.stat_result]]:
    """The objects that one of these transactions may have written. Raises OSError."""
    if not marks:
        return
    since = min(os.stat(f"state/{mark}", dir_fd=repository.fd).st_ctime for mark in marks)
    for name in objects(repository):
        info = os.stat(object_path(*name), dir_fd=repository.objects, follow_symlinks=False)
        if info.st_ctime >= since - _CLOCK_SLACK:
            yield name, info


def _of_another_boot(repository: Repository, mark: str) -> bool:
    with os.fdopen(os.open(f"state/{mark}", os.O_RDONLY, dir_fd=repository.fd), "rb") as stream:
        return stream.read(128).strip() != boot_id().encode("ascii")
