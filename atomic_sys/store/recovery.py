# SPDX-License-Identifier: LGPL-2.1-or-later
"""What an interrupted transaction left: found by its mark, looked at, and made harmless.

A killed process leaves objects that it had not finished, which their time tells. After a power cut
(the mark is of another boot) a name can be there without its bytes, so that every object younger
than the mark is suspect. What is suspect is hashed, and removed unless it is what its name says.
"""

import fcntl
import hashlib
import os
import stat
from collections.abc import Collection, Iterator, Sequence

from atomic_sys.errors import Damaged
from atomic_sys.fs.atomic import sync_file_system
from atomic_sys.log import note
from atomic_sys.model.layer import Metadata
from atomic_sys.store.objects import Checksum, ObjectKind, file_header
from atomic_sys.store.repository import Mode, Repository, is_finished, object_path
from atomic_sys.store.transaction import MARK_SUFFIX, boot_id

_CLOCK_SLACK = 3600  # seconds by which a clock may have been set back between mark and object
_CHUNK = 1 << 20


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
    lost = any(_of_another_boot(repository, mark) for mark in marks)
    for kind, name, info in _younger(repository, marks):
        unfinished = kind is ObjectKind.FILE and not is_finished(info)
        if not (unfinished or lost):
            continue
        path = object_path(kind, name)
        if not is_intact(repository, kind, name):
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


def _younger(
    repository: Repository, marks: Sequence[str]
) -> Iterator[tuple[ObjectKind, Checksum, os.stat_result]]:
    """The objects that one of these transactions may have written."""
    if not marks:
        return
    since = min(os.stat(f"state/{mark}", dir_fd=repository.fd).st_ctime for mark in marks)
    for kind, name in objects(repository):
        path = object_path(kind, name)
        info = os.stat(path, dir_fd=repository.objects, follow_symlinks=False)
        if info.st_ctime >= since - _CLOCK_SLACK:
            yield kind, name, info


def drop_unfinished(
    repository: Repository, reachable: Collection[tuple[ObjectKind, Checksum]]
) -> None:
    """Free the space of what transactions that failed wrote for nothing. Raises OSError.

    The caller holds the lock exclusively, and has not called recover() yet. Files that a checkout
    holds stay, and so do trees: they are small, and prune() knows better.
    """
    for kind, name, info in _younger(repository, stale_marks(repository)):
        useless = (kind, name) not in reachable and info.st_nlink == 1 and info.st_size > 0
        if kind is ObjectKind.FILE and useless and stat.S_ISREG(info.st_mode):
            os.unlink(object_path(kind, name), dir_fd=repository.objects)


def _of_another_boot(repository: Repository, mark: str) -> bool:
    with os.fdopen(os.open(f"state/{mark}", os.O_RDONLY, dir_fd=repository.fd), "rb") as stream:
        return stream.read(128).strip() != boot_id().encode("ascii")


def objects(repository: Repository) -> Iterator[tuple[ObjectKind, Checksum]]:
    """All objects of a kind that we know, in no order."""
    kinds = {kind.value: kind for kind in ObjectKind}
    with os.scandir(repository.objects) as listing:
        prefixes = [item.name for item in listing if len(item.name) == 2]
    for prefix in prefixes:
        fd = os.open(prefix, os.O_RDONLY | os.O_DIRECTORY, dir_fd=repository.objects)
        try:
            names = os.listdir(fd)
        finally:
            os.close(fd)
        for name in names:
            digits, _, suffix = name.partition(".")
            if suffix in kinds and len(digits) == 62:
                yield kinds[suffix], bytes.fromhex(prefix + digits)


def is_intact(repository: Repository, kind: ObjectKind, name: Checksum) -> bool:
    """Whether an object's bytes, owner, mode and attributes are what its name promises."""
    try:
        if kind is not ObjectKind.FILE:
            repository.read_metadata(kind, name)
            return True
        return _content_checksum(repository, name) == name
    except (Damaged, OSError, UnicodeError):
        return False


def _content_checksum(repository: Repository, name: Checksum) -> Checksum:
    info = repository.content_info(name)
    path = f"/proc/self/fd/{repository.objects}/{object_path(ObjectKind.FILE, name)}"
    metadata = info.metadata
    if repository.mode is Mode.BARE:
        metadata = Metadata(metadata.uid, metadata.gid, metadata.mode, xattrs(path))
    hasher = hashlib.sha256(file_header(metadata, info.target))
    if info.target is None:
        with os.fdopen(repository.open_content(name), "rb") as stream:
            while chunk := stream.read(_CHUNK):
                hasher.update(chunk)
    return hasher.digest()


def xattrs(path: str | int) -> tuple[tuple[bytes, bytes], ...]:
    """The extended attributes of a file, sorted; a path's last component is not followed."""
    follow = isinstance(path, int)
    names = sorted(os.fsencode(key) for key in os.listxattr(path, follow_symlinks=follow))
    return tuple((key, os.getxattr(path, key, follow_symlinks=follow)) for key in names)
