# SPDX-License-Identifier: LGPL-2.1-or-later
"""Whether a file system is full: for failures of others, who do not say that this is why.

A runtime that finds no room has only failed, and systemd calls a link that it had no room for a
unit file that does not exist. Source: statvfs(3).
"""

import contextlib
import os
from collections.abc import Iterable, Iterator

from atomic_sys.errors import NoSpace, explain, is_no_space
from atomic_sys.fs.directory import open_directory

# With less left, starting a container may fail for that alone: its runtime and the unit's own
# files take some dozens of blocks, and who failed may have given a few back already.
LEAST_BYTES = 1 << 20
LEAST_FILES = 32


@contextlib.contextmanager
def named_as_cause(root: int, paths: Iterable[str]) -> Iterator[None]:
    """An error out of the block says which of the paths, below `root`, is on a full file system.

    Raises NoSpace for it then, caused by the error; else, or when the error says so itself, the
    error goes on as it is.
    """
    try:
        yield
    except Exception as error:
        path = None if is_no_space(error) else first_full(root, paths)
        if path is None:
            raise
        why = explain(error).rstrip(".")
        raise NoSpace(f"{why}: no space left on the file system of {path}") from error


def first_full(root: int, paths: Iterable[str]) -> str | None:
    """The first of the paths below `root` whose file system is full; what is not there is not."""
    return next((path for path in paths if _is_full(root, path)), None)


def _is_full(root: int, path: str) -> bool:
    """Whether those without privileges find no room: that includes what root keeps for itself.

    A file system that is read-only is none that fills up, and one that counts no files has as many
    as it likes (btrfs, vfat).
    """
    try:
        fd = open_directory(root, path)
    except OSError:
        return False
    try:
        found = os.fstatvfs(fd)
    except OSError:
        return False
    finally:
        os.close(fd)
    if found.f_flag & os.ST_RDONLY:
        return False
    no_room = found.f_blocks > 0 and found.f_bavail * found.f_frsize < LEAST_BYTES
    return no_room or (found.f_files > 0 and found.f_favail < LEAST_FILES)
