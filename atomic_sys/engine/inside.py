# SPDX-License-Identifier: LGPL-2.1-or-later
"""A command inside a running container, which has its time and of which nothing stays behind.

The runtime that executes it is not its parent: whoever kills that alone leaves the command alive.
So the runtime tells its pid, and all of its session goes. Source: runc-exec(8), `--pid-file`.
"""

import contextlib
import os
import select
import signal
import subprocess
import tempfile
import time
from collections.abc import Sequence

from atomic_sys.engine.interrupts import held
from atomic_sys.errors import AtomicSysError
from atomic_sys.fs.process import clean_environment

_KEPT = 16 << 10  # bytes of its output: the end of it
_READ = 64 << 10  # bytes at once
_PATIENCE = 2.0  # seconds for a runtime that is just starting the command to tell its pid
_GLANCE = 0.1  # seconds between two looks whether it has ended, while others hold its output open


class Failed(AtomicSysError):
    """It could not be run, took too long, or said no; `lines` are the end of what it said."""

    def __init__(self, message: str, lines: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.lines = lines


class TookTooLong(Failed):
    """It was killed when its time was over."""


def execute(runtime: str, container: str, command: Sequence[str], limit: float) -> None:
    """Run the command in the container; return when it ended with 0. `limit` is in seconds.

    Raises Failed otherwise, TookTooLong when its time is over. An interrupt ends the command too.
    """
    tail = _Tail()
    with tempfile.TemporaryDirectory(prefix="atomic-exec.") as directory, held() as hold:
        pid_file = os.path.join(directory, "pid")
        with _started([runtime, "exec", "--pid-file", pid_file, container, *command]) as child:
            try:
                with hold.let_through():
                    in_time = _follow(child, tail, time.monotonic() + limit)
            finally:
                _end(child, pid_file)
    if not in_time:
        raise tail.failure(f"took longer than {limit:g} seconds", TookTooLong)
    if child.returncode != 0:
        raise tail.failure(f"exit status {child.returncode}")


def _started(argv: Sequence[str]) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=clean_environment(),
        )
    except OSError as error:
        raise Failed(f"cannot run {argv[0]}: {error.strerror}") from error


class _Tail:
    """The end of an output."""

    def __init__(self) -> None:
        self._bytes = b""

    def add(self, piece: bytes) -> None:
        self._bytes = (self._bytes + piece)[-_KEPT:]

    def failure(self, what: str, kind: type[Failed] = Failed) -> Failed:
        text = self._bytes.decode("utf-8", "replace")
        lines = tuple(line.rstrip() for line in text.splitlines() if line.strip())
        return kind(f"{what}: {lines[-1]}" if lines else what, lines)


def _follow(child: subprocess.Popen[bytes], tail: _Tail, deadline: float) -> bool:
    """Read what it says until it ends; whether it did in time.

    What it has started may hold its output open, and go on; that is not waited for.
    """
    stream = child.stdout
    while stream is not None:
        ended = child.poll() is not None
        ready, _, _ = select.select([stream], [], [], 0 if ended else _GLANCE)
        piece = os.read(stream.fileno(), _READ) if ready else b""
        tail.add(piece)
        if ended or (ready and not piece):
            break
        if time.monotonic() >= deadline:
            return False
    try:
        child.wait(max(0.0, deadline - time.monotonic()))
    except subprocess.TimeoutExpired:
        return False
    return True


def _end(child: subprocess.Popen[bytes], pid_file: str) -> None:
    """Kill a command that has not ended, with the session that the runtime made for it."""
    deadline = time.monotonic() + _PATIENCE
    while child.poll() is None:
        pid = _pid(pid_file)
        if pid is not None or time.monotonic() >= deadline:
            # Who leads no session is somebody else, who has the number by now.
            with contextlib.suppress(OSError):
                if pid is not None and os.getsid(pid) == pid:
                    os.killpg(pid, signal.SIGKILL)
            child.kill()
            return
        time.sleep(_GLANCE / 10)


def _pid(pid_file: str) -> int | None:
    """The pid of the command; None as long as the runtime has not told it."""
    try:
        with open(pid_file, encoding="ascii") as stream:
            return int(stream.read(32))
    except (OSError, ValueError):
        return None
