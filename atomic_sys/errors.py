# SPDX-License-Identifier: LGPL-2.1-or-later
"""The errors of the program: typed, raised deep, given context on the way, printed once by main().

An error is one line that says what is wrong, an optional hint that says what the user can do, and
the exit code of the contract. Text that came from outside is escaped where it is printed, not here.
"""

import contextlib
import errno
import os
from collections.abc import Iterator
from enum import IntEnum
from typing import ClassVar

_MAKE_ROOM = "make room, for example with `atomic images prune`"


class ExitCode(IntEnum):
    """What the process tells its caller."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    NOT_ACTIVE = 3
    NOT_FOUND = 4
    DAMAGED = 5
    REJECTED = 6
    BUSY = 7
    ROLLED_BACK = 8
    INTERRUPTED = 130


class AtomicSysError(Exception):
    """Something that the program cannot do, told in one line."""

    exit_code: ClassVar[ExitCode] = ExitCode.FAILED

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint


class UsageError(AtomicSysError):
    """The command line asks for something that makes no sense, or the user declined."""

    exit_code = ExitCode.USAGE


class NotFound(AtomicSysError):
    """There is no such container or image."""

    exit_code = ExitCode.NOT_FOUND


class Damaged(AtomicSysError):
    """Content at rest is not what it was when it was stored."""

    exit_code = ExitCode.DAMAGED


class Rejected(AtomicSysError):
    """The trust policy does not allow this image; `details` are further lines that tell why."""

    exit_code = ExitCode.REJECTED

    def __init__(
        self, message: str, *, hint: str | None = None, details: tuple[str, ...] = ()
    ) -> None:
        super().__init__(message, hint=hint)
        self.details = details


class Busy(AtomicSysError):
    """Another process holds a lock for longer than we are willing to wait."""

    exit_code = ExitCode.BUSY


class NoSpace(AtomicSysError):
    """A file system is full, or would be."""

    def __init__(self, message: str) -> None:
        super().__init__(message, hint=_MAKE_ROOM)


@contextlib.contextmanager
def doing(what: str) -> Iterator[None]:
    """Note on an error that comes out of the block what was going on: `while WHAT` (PEP 678)."""
    try:
        yield
    except Exception as error:
        error.add_note(f"while {what}")
        raise


def reason_of(error: Exception) -> str:
    """Why it failed; for an error of the system without its number."""
    if not isinstance(error, OSError) or not error.strerror:
        return str(error)
    where = "" if error.filename is None else f"{os.fsdecode(error.filename)}: "
    return f"{where}{error.strerror}"


def explain(error: Exception) -> str:
    """What was being done last, as doing() noted it, and why it failed, on one line."""
    doing_what = next(iter(getattr(error, "__notes__", ())), "").removeprefix("while ")
    if not doing_what:
        return reason_of(error)
    if isinstance(error, OSError) and error.strerror and not os.path.isabs(error.filename or ""):
        return f"{doing_what}: {error.strerror}"  # a name without its directory says no more
    return f"{doing_what}: {reason_of(error)}"


def is_no_space(error: Exception) -> bool:
    """Whether it says that there is no room left, or that a quota is used up."""
    full = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)
    return full or isinstance(error, NoSpace)


def hint_of(error: Exception) -> str | None:
    """What the user can do about it, if anything."""
    if is_no_space(error):
        return _MAKE_ROOM
    return error.hint if isinstance(error, AtomicSysError) else None


def printable(text: str) -> str:
    """The text with control characters and lone surrogates escaped, fit for a terminal or a log."""
    if text.isprintable():  # nearly always, and much quicker
        return text
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape", "backslashreplace").decode("ascii")
        for c in text
    )
