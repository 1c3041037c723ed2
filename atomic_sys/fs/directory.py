# SPDX-License-Identifier: LGPL-2.1-or-later
"""Directories as file descriptors: below an open one, everything is named by one checked component.

No function follows symbolic links unless it says so. Sources: openat2(2), open(2).
"""

import contextlib
import ctypes
import errno
import functools
import os
import stat
from collections.abc import Iterator

from atomic_sys.errors import AtomicSysError

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NOFOLLOW
_SYS_OPENAT2 = 437  # the same on every architecture
_RESOLVE_BENEATH = 0x08
_RESOLVE_IN_ROOT = 0x10
_DEPTH = 64  # directories that are open at once while a tree is removed
_OPEN_TREE_RETRIES = 16  # openat2 says EAGAIN when a rename races with `..`


class _OpenHow(ctypes.Structure):
    _fields_ = [
        ("flags", ctypes.c_uint64),
        ("mode", ctypes.c_uint64),
        ("resolve", ctypes.c_uint64),
    ]


@functools.cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)  # each takes as long as a few openat2(2)


def component(name: str) -> str:
    """The name, if it is one that a directory can have.

    Raises AtomicSysError otherwise.
    """
    if name in ("", ".", "..") or "/" in name or "\0" in name:
        raise AtomicSysError(f"{name!r} is not the name of a file")
    return name


@contextlib.contextmanager
def opened(dfd: int, name: str) -> Iterator[int]:
    """The directory `name` below `dfd`, open for the length of the block. Raises OSError."""
    fd = os.open(component(name), _DIRECTORY, dir_fd=dfd)
    try:
        yield fd
    finally:
        os.close(fd)


def open_root(path: str) -> int:
    """Open the directory at `path`, following links: for the paths that the program starts from."""
    return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)


def open_in_root(dfd: int, path: str, flags: int = _DIRECTORY, mode: int = 0) -> int:
    """Open `path` as if `dfd` were the root: links, absolute ones too, are resolved inside it.

    Raises OSError. Source: openat2(2), RESOLVE_IN_ROOT.
    """
    how = _OpenHow(flags=flags | os.O_CLOEXEC, mode=mode, resolve=_RESOLVE_IN_ROOT)
    libc = _libc()
    for _ in range(_OPEN_TREE_RETRIES):
        fd = libc.syscall(
            _SYS_OPENAT2, dfd, os.fsencode(path), ctypes.byref(how), ctypes.sizeof(how)
        )
        if fd >= 0:
            return int(fd)
        if ctypes.get_errno() != errno.EAGAIN:
            break
    code = ctypes.get_errno()
    raise OSError(code, os.strerror(code), path)


def open_directory(dfd: int, path: str) -> int:
    """Open the directory at `path` as if `dfd` were the root; it may be a link to one.

    Raises OSError.
    """
    return open_in_root(dfd, path, os.O_RDONLY | os.O_DIRECTORY)


def make_directories(dfd: int, path: str, mode: int = 0o755) -> int:
    """Open the directory `path` below `dfd`, making what is missing; returns its descriptor.

    An existing component that is a symbolic link is resolved inside `dfd`. Raises OSError.
    """
    fd = os.dup(dfd)
    done: list[str] = []
    try:
        for part in path.strip("/").split("/"):
            if not part:
                continue
            done.append(component(part))
            with contextlib.suppress(FileExistsError):
                os.mkdir(part, mode, dir_fd=fd)
            below = open_directory(dfd, "/".join(done))
            os.close(fd)
            fd = below
    except BaseException:
        os.close(fd)
        raise
    return fd


def exists(dfd: int, name: str) -> bool:
    """Whether there is anything of this name, a dangling link included."""
    try:
        os.stat(component(name), dir_fd=dfd, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


def read_link(dfd: int, name: str) -> str | None:
    """Where the symbolic link points, or None when there is no such link."""
    try:
        return os.readlink(component(name), dir_fd=dfd)
    except FileNotFoundError:
        return None
    except OSError as error:
        if error.errno == errno.EINVAL:
            return None
        raise


def remove_tree(dfd: int, name: str) -> None:
    """Remove whatever has this name, with all that is below it; nothing is fine too.

    Links are removed, not followed; a file system mounted below is an error (EBUSY). Directories
    may be nested as deep as whoever made them liked. Raises OSError.
    """
    try:
        info = os.stat(component(name), dir_fd=dfd, follow_symlinks=False)
    except FileNotFoundError:
        return
    if not stat.S_ISDIR(info.st_mode):
        os.unlink(name, dir_fd=dfd)
        return
    with opened(dfd, name) as top:
        while _empty(top, top, _DEPTH):
            pass  # what was too deep has been moved up
    os.rmdir(name, dir_fd=dfd)


def _empty(top: int, dfd: int, depth: int) -> bool:
    """Remove what is in a directory; whether directories at the limit were moved to `top`."""
    moved = False
    with os.scandir(dfd) as entries:
        names = [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries]
    for name, is_directory in names:
        if not is_directory:
            os.unlink(name, dir_fd=dfd)
            continue
        if depth == 0:
            os.rename(name, f".{os.urandom(8).hex()}", src_dir_fd=dfd, dst_dir_fd=top)
            moved = True
            continue
        with opened(dfd, name) as below:
            moved |= _empty(top, below, depth - 1)
        os.rmdir(name, dir_fd=dfd)
    return moved
