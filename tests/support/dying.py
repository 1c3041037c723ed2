# SPDX-License-Identifier: LGPL-2.1-or-later
"""Run a command and kill it just before its N-th change of a file, counted over all its processes,
or just before the N-th line that it says on stderr, which with --debug is before an operation.

`strace --inject` counts for each thread alone, so that it never reaches the early calls of a late
one; this counts all together. Run as a program, for a tracer must wait for every child it has:
`python -m tests.support.dying N MODE COUNTED COMMAND...` prints the number of calls that were made,
and the exit status. With N = 0 nobody dies. It needs nothing but Python, so that it can be copied
to where a command runs. Sources: ptrace(2).
"""

import ctypes
import os
import platform
import signal
import struct
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import NoReturn

# asm/unistd_64.h: what changes a file, a name or a lock
_CALLS = {
    "write": 1, "pwrite64": 18, "writev": 20, "pwritev": 296, "sendfile": 40, "flock": 73,
    "fsync": 74, "fdatasync": 75, "truncate": 76, "ftruncate": 77, "rename": 82, "mkdir": 83,
    "rmdir": 84, "creat": 85, "link": 86, "unlink": 87, "symlink": 88, "chmod": 90, "fchmod": 91,
    "chown": 92, "fchown": 93, "lchown": 94, "setxattr": 188, "lsetxattr": 189, "fsetxattr": 190,
    "removexattr": 197, "lremovexattr": 198, "fremovexattr": 199, "utimes": 235, "mkdirat": 258,
    "fchownat": 260, "unlinkat": 263, "renameat": 264, "linkat": 265, "symlinkat": 266,
    "fchmodat": 268, "utimensat": 280, "fallocate": 285, "syncfs": 306, "renameat2": 316,
    "copy_file_range": 326,
}  # fmt: skip
_CHANGES = frozenset(_CALLS.values())
_WRITES = frozenset((_CALLS["write"], _CALLS["writev"]))
_OPEN, _OPENAT = 2, 257
_STDERR = _LAST_STANDARD = 2  # a write to the standard streams changes no file
_TRACEME, _SYSCALL, _SETOPTIONS, _SYSCALL_INFO = 0, 24, 0x4200, 0x420E
_OPTIONS = 0x1 | 0x2 | 0x4 | 0x8 | 0x10 | 0x100000  # SYSGOOD, all children, exec, EXITKILL
_SYSCALL_STOP = signal.SIGTRAP | 0x80
_WALL = 0x40000000
_PATIENCE = 60  # seconds for a command of one second: its death leaves nobody waiting
_INFO_SIZE = 88
_ENTRY = 1
_libc = ctypes.CDLL(None, use_errno=True)
_libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
_libc.ptrace.restype = ctypes.c_long


class Death(Enum):
    """Who is killed: the process that was about to make the call, or all at once."""

    ONE = "one"
    ALL = "all"


class Counted(Enum):
    """What is counted: changes of files by all, or lines that the first process says."""

    CHANGES = "changes"
    LINES = "lines"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """How many calls were begun, and how the command ended (minus a signal's number)."""

    calls: int
    code: int


def run(argv: Sequence[str], at: int, death: Death, environment: Mapping[str, str]) -> Ending:
    """Run the command, killed before its change number `at`. Raises CalledProcessError,
    TimeoutExpired when somebody waits for the dead."""
    done = subprocess.run(
        [sys.executable, __file__, str(at), death.value, Counted.CHANGES.value, *argv],
        timeout=_PATIENCE, env=dict(environment), stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, check=True, text=True,
    )  # fmt: skip
    return ending(done.stdout)


def ending(said: str) -> Ending:
    """What the program printed."""
    calls, code = said.split()[-2:]
    return Ending(calls=int(calls), code=int(code))


def _ptrace(request: int, pid: int, address: int, data: object) -> int:
    result: int = _libc.ptrace(request, pid, address, data)
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result


def _become(argv: Sequence[str]) -> NoReturn:
    _ptrace(_TRACEME, 0, 0, None)
    null = os.open(os.devnull, os.O_RDWR)
    for stream in (1, 2):
        os.dup2(null, stream)
    os.execvp(argv[0], [*argv])  # noqa: S606 - there is no shell


class Tracer:
    """Leads the processes from call to call."""

    def __init__(self, argv: Sequence[str], at: int, death: Death, counted: Counted) -> None:
        self.at = at
        self.death = death
        self.counted = counted
        self.calls = 0
        self.code = 0
        self.tracees: set[int] = set()
        self.first = os.fork()
        if self.first == 0:
            _become(argv)

    def trace(self) -> None:
        """Until all have ended."""
        os.waitpid(self.first, 0)
        _ptrace(_SETOPTIONS, self.first, 0, _OPTIONS)
        self.tracees.add(self.first)
        self._go_on(self.first, 0)
        while self.tracees:
            pid, status = os.waitpid(-1, _WALL)
            if os.WIFSTOPPED(status):
                self._stopped(pid, status)
            else:
                self.tracees.discard(pid)
                if pid == self.first:
                    self.code = os.waitstatus_to_exitcode(status)

    def _stopped(self, pid: int, status: int) -> None:
        new = pid not in self.tracees
        self.tracees.add(pid)
        cause = os.WSTOPSIG(status)
        if cause == _SYSCALL_STOP:
            self._at_call(pid)
            self._go_on(pid, 0)
        elif status >> 16 or (new and cause == signal.SIGSTOP):  # an event, or a new process's stop
            self._go_on(pid, 0)
        else:
            self._go_on(pid, cause)

    def _go_on(self, pid: int, with_signal: int) -> None:
        try:
            _ptrace(_SYSCALL, pid, 0, with_signal)
        except ProcessLookupError:  # killed meanwhile; waitpid(2) will tell
            return

    def _at_call(self, pid: int) -> None:
        info = ctypes.create_string_buffer(_INFO_SIZE)
        try:
            _ptrace(_SYSCALL_INFO, pid, _INFO_SIZE, info)
        except ProcessLookupError:
            return
        call = struct.unpack_from("=4Q", info.raw, 24)
        match self.counted:
            case Counted.CHANGES:
                counts = _is_change(*call)
            case Counted.LINES:
                counts = pid == self.first and call[:2] == (_CALLS["write"], _STDERR)
        if info.raw[0] == _ENTRY and counts:
            self.calls += 1
            if self.calls == self.at:
                for victim in (pid,) if self.death is Death.ONE else tuple(self.tracees):
                    os.kill(victim, signal.SIGKILL)


def _is_change(number: int, first: int, second: int, third: int) -> bool:
    if number in _WRITES:
        return first > _LAST_STANDARD
    flags = {_OPEN: second, _OPENAT: third}.get(number, 0)
    return number in _CHANGES or bool(flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))


def main(argv: Sequence[str]) -> None:
    """The program."""
    if platform.machine() != "x86_64":
        sys.exit("the numbers of the system calls are those of x86-64")
    tracer = Tracer(argv[3:], int(argv[0]), Death(argv[1]), Counted(argv[2]))
    tracer.trace()
    sys.stdout.write(f"{tracer.calls} {tracer.code}\n")


if __name__ == "__main__":
    main(sys.argv[1:])
