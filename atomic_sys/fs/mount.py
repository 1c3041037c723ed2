# SPDX-License-Identifier: LGPL-2.1-or-later
"""Mounts by descriptors: made detached and restricted, then put in place with one call.

Nobody can use a mount before its attributes are set, and no path is looked up twice. Sources:
open_tree(2), mount_setattr(2), fsopen(2), move_mount(2), umount(2), proc_pid_mountinfo(5).
"""

import contextlib
import ctypes
import os
import re
from collections.abc import Iterator, Sequence
from enum import IntFlag

from atomic_sys.frozen import frozen

# The same numbers on every architecture but alpha; glibc has wrappers since 2.36 only.
_SYS_OPEN_TREE = 428
_SYS_MOVE_MOUNT = 429
_SYS_FSOPEN = 430
_SYS_FSCONFIG = 431
_SYS_FSMOUNT = 432
_SYS_MOUNT_SETATTR = 442
_AT_EMPTY_PATH = 0x1000
_OPEN_TREE_CLONE = 1
_OPEN_TREE_CLOEXEC = os.O_CLOEXEC
_MOVE_MOUNT_F_EMPTY_PATH = 0x04
_MOVE_MOUNT_T_EMPTY_PATH = 0x40
_FSOPEN_CLOEXEC = 1
_FSCONFIG_SET_STRING = 1
_FSCONFIG_CMD_CREATE = 6
_FSMOUNT_CLOEXEC = 1
_UMOUNT_NOFOLLOW = 8
_MNT_DETACH = 2
_MS_PRIVATE = 1 << 18
_ESCAPED = re.compile(r"\\([0-7]{3})")


class MountAttribute(IntFlag):
    """What a mount forbids (mount_setattr(2))."""

    READ_ONLY = 0x01
    NO_SET_ID = 0x02
    NO_DEVICES = 0x04
    NO_PROGRAMS = 0x08


@frozen
class Mount:
    """A mount of a process: `root` is the directory of its file system that is seen at `target`."""

    root: str
    target: str
    source: str


class _Attributes(ctypes.Structure):
    _fields_ = [
        ("set", ctypes.c_uint64),
        ("clear", ctypes.c_uint64),
        ("propagation", ctypes.c_uint64),
        ("userns_fd", ctypes.c_uint64),
    ]


def bind(fd: int, attributes: MountAttribute) -> int:
    """The descriptor of a detached mount of this directory, without what is mounted below it.

    Raises OSError.
    """
    flags = _AT_EMPTY_PATH | _OPEN_TREE_CLONE | _OPEN_TREE_CLOEXEC
    mount = _call(_SYS_OPEN_TREE, fd, b"", flags)
    try:
        _set(mount, _Attributes(set=int(attributes)))
    except BaseException:
        os.close(mount)
        raise
    return mount


def make_private(mount: int) -> None:
    """Take a detached mount out of the peer group of what it was made from. Raises OSError.

    Attached to a shared mount, it begins a group of its own. Source: mount_namespaces(7).
    """
    _set(mount, _Attributes(propagation=_MS_PRIVATE))


def _set(mount: int, wanted: _Attributes) -> None:
    size = ctypes.sizeof(wanted)
    _call(_SYS_MOUNT_SETATTR, mount, b"", _AT_EMPTY_PATH, ctypes.byref(wanted), size)


def overlay(source: str, lower: str, upper: str, work: str, attributes: MountAttribute) -> int:
    """The descriptor of a detached overlay; `source` is what lists of mounts show.

    Raises OSError; EINVAL for directories that cannot be layers.
    """
    context = _call(_SYS_FSOPEN, b"overlay", _FSOPEN_CLOEXEC)
    try:
        for key, value in (
            ("source", source), ("lowerdir", lower), ("upperdir", upper), ("workdir", work)
        ):  # fmt: skip
            argument = os.fsencode(value)
            _call(_SYS_FSCONFIG, context, _FSCONFIG_SET_STRING, key.encode(), argument, 0)
        _call(_SYS_FSCONFIG, context, _FSCONFIG_CMD_CREATE, None, None, 0)
        return _call(_SYS_FSMOUNT, context, _FSMOUNT_CLOEXEC, int(attributes))
    finally:
        os.close(context)


def attach(mount: int, directory: int) -> None:
    """Put a detached mount on a directory, both by descriptor. Raises OSError."""
    flags = _MOVE_MOUNT_F_EMPTY_PATH | _MOVE_MOUNT_T_EMPTY_PATH
    _call(_SYS_MOVE_MOUNT, mount, b"", directory, b"", flags)


def detach(path: str) -> None:
    """Unmount what is on top at this path, a link not followed. Raises OSError, EBUSY in use."""
    _unmount(path, _UMOUNT_NOFOLLOW)


def detach_lazily(path: str) -> None:
    """The same, also in use: who has something of it open keeps that. Raises OSError."""
    _unmount(path, _UMOUNT_NOFOLLOW | _MNT_DETACH)


def _unmount(path: str, flags: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.umount2(os.fsencode(path), flags) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), path)


def mounts(process: str = "self") -> tuple[Mount, ...]:
    """The mounts that a process sees, a covered one before what covers it. Raises OSError."""
    with open(f"/proc/{process}/mountinfo", encoding="utf-8", errors="surrogateescape") as stream:
        return tuple(parse(stream))


def parse(lines: Sequence[str] | Iterator[str]) -> Iterator[Mount]:
    """The lines of a mountinfo file; one that is not like the others is passed over."""
    for line in lines:
        fields, _, rest = line.rstrip("\n").partition(" - ")
        words, last = fields.split(" "), rest.split(" ")
        if len(words) >= 6 and len(last) >= 2:
            yield Mount(root=_plain(words[3]), target=_plain(words[4]), source=_plain(last[1]))


def all_mounts() -> Iterator[Mount]:
    """The mounts of every mount namespace that has a process which we may look at."""
    seen: set[str] = set()
    for process in os.listdir("/proc"):
        if not process.isdecimal():
            continue
        with contextlib.suppress(OSError):  # it has ended, or is not ours to see
            namespace = os.readlink(f"/proc/{process}/ns/mnt")
            if namespace not in seen:
                found = mounts(process)
                seen.add(namespace)
                yield from found


def _plain(word: str) -> str:
    """The word without the kernel's octal escapes for blanks and backslashes."""
    return _ESCAPED.sub(lambda match: chr(int(match[1], 8)), word)


def _call(number: int, *arguments: object) -> int:
    libc = ctypes.CDLL(None, use_errno=True)
    wide = (ctypes.c_long(a) if isinstance(a, int) else a for a in (number, *arguments))
    result = libc.syscall(*wide)
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return int(result)
