# SPDX-License-Identifier: LGPL-2.1-or-later
"""Make it whole, then name it: files, links and descriptors that nobody sees half-done.

A crash leaves either the old content or the new one, and at worst a temporary name that begins with
a dot and ends with `.tmp`. Sources: open(2) O_TMPFILE, rename(2), syncfs(2).
"""

import contextlib
import ctypes
import errno
import os
import re
from collections.abc import Iterable, Iterator

from atomic_sys.fs.directory import component

TEMPORARY_SUFFIX = ".tmp"
_RENAME_NOREPLACE = 1
_PIECE = 64 << 10  # bytes that are read at once


def temporary_name(name: str) -> str:
    """A name beside `name` that nobody else uses, known as left over when its maker is dead."""
    return f".{name}.{os.urandom(6).hex()}{TEMPORARY_SUFFIX}"


def write_file(
    dfd: int,
    name: str,
    content: bytes,
    mode: int = 0o644,
    *,
    owner: tuple[int, int] | None = None,
) -> None:
    """Put a file with exactly this content and mode in place, synced, replacing what was there.

    It belongs to the caller, unless `owner` (uid, gid) says otherwise. Raises OSError.
    """
    write_stream(dfd, name, (content,), mode, owner=owner)


def write_stream(
    dfd: int,
    name: str,
    chunks: Iterable[bytes],
    mode: int = 0o644,
    *,
    owner: tuple[int, int] | None = None,
) -> None:
    """The same for content that comes in chunks. Raises OSError, and what the chunks raise."""
    with _replacing(dfd, name) as fd:
        for chunk in chunks:
            write_all(fd, chunk)
        if owner is not None:
            os.fchown(fd, *owner)
        os.fchmod(fd, mode)  # after fchown(2), which clears bits of it


def copy_file(source: int, dfd: int, name: str, *, mode: int, owner: tuple[int, int]) -> None:
    """The same, with what can be read from `source` on, and user and group id. Raises OSError."""
    with _replacing(dfd, name) as fd, open(source, "rb", closefd=False) as reader:
        while chunk := reader.read(1 << 20):
            write_all(fd, chunk)
        os.fchown(fd, *owner)
        os.fchmod(fd, mode)


def link_file(source: int, dfd: int, name: str) -> None:
    """Give the file that is open at `source` this name as well, replacing what was there.

    It takes no room on the disk. Raises OSError, with EXDEV for one of another file system.
    """
    temporary = temporary_name(component(name))
    os.link(f"/proc/self/fd/{source}", temporary, dst_dir_fd=dfd, follow_symlinks=True)
    try:
        os.rename(temporary, name, src_dir_fd=dfd, dst_dir_fd=dfd)
    finally:  # rename(2) does nothing where both are names of one file
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary, dir_fd=dfd)
    os.fsync(dfd)


@contextlib.contextmanager
def _replacing(dfd: int, name: str) -> Iterator[int]:
    """A new file to write to; it takes the name when the block ends well."""
    temporary = temporary_name(component(name))
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
    fd = os.open(temporary, flags, 0o600, dir_fd=dfd)
    try:
        try:
            yield fd
            os.fsync(fd)
        finally:
            os.close(fd)
        os.rename(temporary, name, src_dir_fd=dfd, dst_dir_fd=dfd)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary, dir_fd=dfd)
        raise
    os.fsync(dfd)


def create_file(dfd: int, name: str, content: bytes, mode: int = 0o644) -> None:
    """As write_file, but nothing that has the name is replaced: FileExistsError then.

    Raises OSError.
    """
    temporary = temporary_name(component(name))
    write_file(dfd, temporary, content, mode)
    try:
        os.link(temporary, name, src_dir_fd=dfd, dst_dir_fd=dfd, follow_symlinks=False)
    finally:
        os.unlink(temporary, dir_fd=dfd)
    os.fsync(dfd)


def sweep(dfd: int, name: str) -> None:
    """Remove the temporary names that a dead process left beside `name`. Raises OSError."""
    left = re.compile(rf"\.{re.escape(name)}\.[0-9a-f]{{12}}{re.escape(TEMPORARY_SUFFIX)}")
    for found in os.listdir(dfd):
        if left.fullmatch(found):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(found, dir_fd=dfd)


def write_all(fd: int, content: bytes | memoryview) -> None:
    """Write all of it, however little a write(2) takes. Raises OSError."""
    view = memoryview(content)
    while view:
        view = view[os.write(fd, view) :]


def read_file(dfd: int, name: str, limit: int) -> bytes | None:
    """The content of a regular file, or None when there is none; links are not followed.

    Raises OSError, with EFBIG for a file of more than `limit` bytes.
    """
    try:
        fd = os.open(component(name), os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW, dir_fd=dfd)
    except FileNotFoundError:
        return None
    try:
        pieces, left = [], limit + 1
        while piece := os.read(fd, min(left, _PIECE)):  # a file object would cost twice as much
            pieces.append(piece)
            left -= len(piece)
    finally:
        os.close(fd)
    if left == 0:
        raise OSError(errno.EFBIG, f"larger than {limit} bytes", name)
    return b"".join(pieces)


def swap_symlink(dfd: int, name: str, target: str) -> None:
    """Let the link `name` point to `target` from one moment to the next. Raises OSError."""
    temporary = temporary_name(component(name))
    os.symlink(target, temporary, dir_fd=dfd)
    try:
        os.rename(temporary, name, src_dir_fd=dfd, dst_dir_fd=dfd)
    except BaseException:
        os.unlink(temporary, dir_fd=dfd)
        raise
    os.fsync(dfd)


def rename_new(dfd: int, old: str, new: str) -> None:
    """Give a file or directory another name, which nothing has.

    Raises FileExistsError where something has it, an empty directory too, or OSError. Source:
    renameat2(2), RENAME_NOREPLACE.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    names = os.fsencode(component(old)), os.fsencode(component(new))
    if libc.renameat2(dfd, names[0], dfd, names[1], _RENAME_NOREPLACE) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), new)
    os.fsync(dfd)


def sync_file_system(fd: int) -> None:
    """Write everything of the file system of `fd` to its disk. Raises OSError."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.syncfs(fd) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


def umask() -> int:
    """This process's umask, unchanged, from proc(5); all bits where that cannot tell."""
    with contextlib.suppress(OSError), open("/proc/self/status", encoding="ascii") as stream:
        for line in stream:
            if line.startswith("Umask:"):
                return int(line.split()[1], 8)
    return 0o777
