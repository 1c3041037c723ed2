# SPDX-License-Identifier: LGPL-2.1-or-later
"""Run a command and kill it just before its N-th change of a file, counted over all its processes,
or just before the N-th line that it says on stderr, which with --debug is before an operation.

`strace --inject` counts for each thread alone, so that it never reaches the early calls of a late
one; this counts all together. Run as a program, for a tracer must wait for every child it has:
`python -m tests.support.dying N MODE COUNTED COMMAND...` prints the number of calls that were made,
and the exit status. With N = 0 nobody dies. It needs nothing but Python, so that it can be copied
to where a command runs. Who is to be counted is picked by a filter in the kernel: a tracer that had
to look at every call would take more time than the command. Sources: ptrace(2), seccomp(2),
linux/bpf_common.h.
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
_OPENS = {2: 1, 257: 2}  # open, openat: which argument are the flags
_TO_CHANGE = os.O_WRONLY | os.O_RDWR | os.O_CREAT
_STDERR = _LAST_STANDARD = 2  # a write to the standard streams changes no file
_TRACEME, _CONTINUE, _SETOPTIONS, _SYSCALL_INFO = 0, 7, 0x4200, 0x420E
_OPTIONS = 0x2 | 0x4 | 0x8 | 0x10 | 0x80 | 0x100000  # all children, exec, seccomp, EXITKILL
_COUNTED_STOP = signal.SIGTRAP | 7 << 8  # PTRACE_EVENT_SECCOMP
_SET_SECCOMP, _MODE_FILTER = 22, 2
_TRACE, _ALLOW = 0x7FF00000, 0x7FFF0000
_LOAD, _IF_EQUAL, _IF_ANY_BIT, _RETURN = 0x20, 0x15, 0x45, 0x06
_NUMBER_AT, _ARCHITECTURE_AT, _ARGUMENTS_AT = 0, 4, 16  # in struct seccomp_data
_X86_64 = 0xC000003E
_WALL = 0x40000000
_PATIENCE = 60  # seconds for a command of one second: its death leaves nobody waiting
_INFO_SIZE = 88
_CALL_AT = 24
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
    program = _filter()
    fields = ctypes.create_string_buffer(program)
    header = struct.pack("@HP", len(program) // 8, ctypes.addressof(fields))
    if _libc.prctl(_SET_SECCOMP, _MODE_FILTER, header, 0, 0) != 0:
        sys.exit(f"no filter of calls: {os.strerror(ctypes.get_errno())}")
    os.execvp(argv[0], [*argv])  # noqa: S606 - there is no shell


def _filter() -> bytes:
    """The instructions by which the kernel picks the calls that change something."""

    def line(code: int, value: int, if_so: int = 0, if_not: int = 0) -> bytes:
        return struct.pack("=HBBI", code, if_so, if_not, value)

    end = {verdict: line(_RETURN, verdict) for verdict in (_TRACE, _ALLOW)}
    program = line(_LOAD, _ARCHITECTURE_AT) + line(_IF_EQUAL, _X86_64, if_so=1) + end[_ALLOW]
    program += line(_LOAD, _NUMBER_AT)
    for number in sorted(_CHANGES):
        program += line(_IF_EQUAL, number, if_not=1) + end[_TRACE]
    for number, flags in _OPENS.items():
        program += line(_IF_EQUAL, number, if_not=4) + line(_LOAD, _ARGUMENTS_AT + 8 * flags)
        program += line(_IF_ANY_BIT, _TO_CHANGE, if_not=1) + end[_TRACE] + end[_ALLOW]
    return program + end[_ALLOW]


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
        if status >> 8 == _COUNTED_STOP:
            self._at_call(pid)
            self._go_on(pid, 0)
        elif status >> 16 or (new and cause == signal.SIGSTOP):  # an event, or a new process's stop
            self._go_on(pid, 0)
        else:
            self._go_on(pid, cause)

    def _go_on(self, pid: int, with_signal: int) -> None:
        try:
            _ptrace(_CONTINUE, pid, 0, with_signal)
        except ProcessLookupError:  # killed meanwhile; waitpid(2) will tell
            return

    def _at_call(self, pid: int) -> None:
        info = ctypes.create_string_buffer(_INFO_SIZE)
        try:
            _ptrace(_SYSCALL_INFO, pid, _INFO_SIZE, info)
        except ProcessLookupError:
            return
        number, first = struct.unpack_from("=2Q", info.raw, _CALL_AT)
        match self.counted:
            case Counted.CHANGES:  # the filter has passed no others
                counts = number not in _WRITES or first > _LAST_STANDARD
            case Counted.LINES:
                counts = pid == self.first and (number, first) == (_CALLS["write"], _STDERR)
        if counts:
            self.calls += 1
            if self.calls == self.at:
                for victim in (pid,) if self.death is Death.ONE else tuple(self.tracees):
                    os.kill(victim, signal.SIGKILL)


def main(argv: Sequence[str]) -> None:
    """The program."""
    if platform.machine() != "x86_64":
        sys.exit("the numbers of the system calls are those of x86-64")
    tracer = Tracer(argv[3:], int(argv[0]), Death(argv[1]), Counted(argv[2]))
    tracer.trace()
    sys.stdout.write(f"{tracer.calls} {tracer.code}\n")


if __name__ == "__main__":
    main(sys.argv[1:])
