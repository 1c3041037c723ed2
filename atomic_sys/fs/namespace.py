# SPDX-License-Identifier: LGPL-2.1-or-later
"""The host's mount namespace, which a service with a private one does not see the mounts of.

Sources: setns(2), namespaces(7): joining one takes a process whose root nobody shares.
"""

import ctypes
import os
from collections.abc import Callable
from contextlib import nullcontext
from typing import TypeVar

from atomic_sys.fs.workers import Job, Tell, run_all

_CLONE_NEWNS = 0x20000
_OWN, _FIRST = "/proc/self/ns/mnt", "/proc/1/ns/mnt"
_Result = TypeVar("_Result")


def _is_first() -> bool:
    """Whether our mount namespace is that of process 1; so it is where we may not look."""
    try:
        return os.stat(_OWN).st_ino == os.stat(_FIRST).st_ino
    except OSError:
        return True


def in_first(work: Callable[[], _Result]) -> _Result:
    """Call it in the mount namespace of process 1: in a process of its own where ours is another.

    Where that one has another root directory, or must not be joined, it is called here: then its
    paths would mean something else there, or nobody can help it. Raises what `work` raises.
    """
    if _is_first() or not _has_our_root():
        return work()
    results: list[_Result] = []

    def run(_: Tell) -> _Result:
        _join()
        return work()

    try:
        run_all([Job(run=run, telling=nullcontext(_silent), done=results.append)], 1)
    except PermissionError:
        return work()
    return results[0]


def _has_our_root() -> bool:
    try:
        return os.path.samestat(os.stat("/"), os.stat("/proc/1/root"))
    except OSError:
        return False


def _join() -> None:
    fd = os.open(_FIRST, os.O_RDONLY | os.O_CLOEXEC)
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.setns(fd, _CLONE_NEWNS) != 0:
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code), _FIRST)
    finally:
        os.close(fd)


def _silent(_: int) -> None:
    """Nobody is told."""
