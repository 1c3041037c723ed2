# SPDX-License-Identifier: LGPL-2.1-or-later
"""The one door to other programs: a list of arguments, a clean environment, no endless waiting.

Whoever fails is quoted: the end of its stderr is part of the error.
"""

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import NoReturn

from atomic_sys.errors import AtomicSysError
from atomic_sys.frozen import frozen

_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_STDERR_TAIL = 1024  # bytes of a child's stderr that an error quotes
DEFAULT_TIMEOUT = 90.0  # seconds


class CommandFailed(AtomicSysError):
    """A program could not be run, took too long, or said no."""


@frozen
class Completed:
    """What a program that ended left behind."""

    argv: tuple[str, ...]
    returncode: int
    stdout: bytes
    stderr: bytes

    @property
    def stderr_tail(self) -> str:
        """The end of its stderr on one line, for an error message."""
        tail = self.stderr[-_STDERR_TAIL:].decode("utf-8", "replace")
        return "; ".join(line.strip() for line in tail.splitlines() if line.strip())

    def fail(self) -> NoReturn:
        """Raise CommandFailed for this run."""
        reason = self.stderr_tail or f"exit status {self.returncode}"
        raise CommandFailed(f"{self.argv[0]} failed: {reason}")


@frozen
class Command:
    """A program to run: `environment` comes on top of a minimal one, `pass_fds` stay open in it."""

    argv: Sequence[str]
    stdin: bytes | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    timeout: float = DEFAULT_TIMEOUT
    pass_fds: Sequence[int] = ()

    def run(self) -> Completed:
        """Run it to its end and return what it left, whatever its exit status.

        Raises CommandFailed when it cannot be started or exceeds its timeout (then it is killed).
        """
        name = self.argv[0]
        try:
            done = subprocess.run(
                list(self.argv),
                input=self.stdin,
                stdin=subprocess.DEVNULL if self.stdin is None else None,
                capture_output=True,
                env=clean_environment() | dict(self.environment),
                timeout=self.timeout,
                pass_fds=tuple(self.pass_fds),
                check=False,
            )
        except FileNotFoundError:
            raise CommandFailed(f"{name} is not installed") from None
        except OSError as error:
            raise CommandFailed(f"cannot run {name}: {error.strerror}") from error
        except subprocess.TimeoutExpired:
            raise CommandFailed(f"{name} took longer than {self.timeout:g} seconds") from None
        return Completed(
            argv=tuple(self.argv),
            returncode=done.returncode,
            stdout=done.stdout,
            stderr=done.stderr,
        )

    def check(self) -> Completed:
        """Run it; raises CommandFailed, with the end of its stderr, unless it exits with 0."""
        done = self.run()
        if done.returncode != 0:
            done.fail()
        return done


def run_attached(argv: Sequence[str], *, directory: str | None = None) -> int:
    """Run a program on our own stdin, stdout and stderr, and wait for it, however long it takes.

    It gets the interrupts of the terminal, and our SIGTERM and SIGHUP. Returns its exit status, for
    a signal 128 and its number, as shells have it. Raises CommandFailed when it cannot be started.
    """
    try:
        child = subprocess.Popen(list(argv), cwd=directory, env=_attached_environment())
    except FileNotFoundError:
        raise CommandFailed(f"{argv[0]} is not installed") from None
    except OSError as error:
        raise CommandFailed(f"cannot run {argv[0]}: {error.strerror}") from error
    before = {signal.SIGINT: signal.signal(signal.SIGINT, signal.SIG_IGN)}
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # nohup(1)
            before[number] = signal.signal(number, lambda number, _: child.send_signal(number))
    try:
        status = child.wait()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    return status if status >= 0 else 128 - status


def _attached_environment() -> dict[str, str]:
    shown = ("TERM", "COLORTERM", "LANG", "LC_ALL", "PAGER", "COLUMNS", "LINES")
    given = {key: os.environ[key] for key in shown if key in os.environ}
    return clean_environment() | given


def clean_environment() -> dict[str, str]:
    """The environment of every child: a fixed PATH, the C locale, little else."""
    kept = ("HOME", "XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS", "TMPDIR")
    environment = {key: os.environ[key] for key in kept if key in os.environ}
    return environment | {"PATH": _PATH, "LC_ALL": "C"}
