# SPDX-License-Identifier: LGPL-2.1-or-later
"""Runs the tools that the test host is made of.

Promised: argv lists only, a clean environment, a time limit on everything, and no process left
behind when the limit passes or the caller is interrupted: the whole process group is killed. The
end of the child's own output is part of the error.
"""

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "LANG": "C.UTF-8",
    "TERM": "dumb",
}
TAIL = 2000


class HostError(Exception):
    """The test host, or a command in it, did not do what was asked. The message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Completed:
    """What a finished command left: `returncode` is negative for a signal, as in subprocess."""

    argv: tuple[str, ...]
    returncode: int
    stdout: str
    stderr: str

    def check(self) -> "Completed":
        """Returns itself; raises HostError with the end of stderr when the command failed."""
        if self.returncode == 0:
            return self
        said = tail(self.stderr or self.stdout)
        raise HostError(f"exit {self.returncode} of {' '.join(self.argv)}\n{said}")


def tail(text: str) -> str:
    """The last part of `text`, in whole lines, short enough for an error message."""
    if len(text) <= TAIL:
        return text.strip()
    return "... " + text[-TAIL:].partition("\n")[2].strip()


def run(
    argv: Sequence[str | os.PathLike[str]],
    *,
    check: bool = True,
    input: str | None = None,  # noqa: A002 - the name that subprocess.run has made the known one
    timeout: float = 60,
    environment: Mapping[str, str] = ENVIRONMENT,
) -> Completed:
    """Runs `argv` to its end; raises HostError when it fails (`check`) or takes over `timeout` s.

    The child has its own session, so Ctrl-C reaches this process only, which then ends the child.
    """
    words = tuple(os.fspath(word) for word in argv)
    with subprocess.Popen(
        words,
        stdin=subprocess.DEVNULL if input is None else subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=dict(environment),
        start_new_session=True,
        text=True,
        encoding="utf-8",
        errors="backslashreplace",
    ) as child:
        try:
            stdout, stderr = child.communicate(input, timeout=timeout)
        except subprocess.TimeoutExpired as expired:
            end_group(child)
            stdout, stderr = child.communicate()
            said = tail(stderr or stdout)
            raise HostError(f"over {timeout:g} s: {' '.join(words)}\n{said}") from expired
        except BaseException:
            end_group(child)
            raise
    done = Completed(argv=words, returncode=child.returncode, stdout=stdout, stderr=stderr)
    return done.check() if check else done


def end_group(child: "subprocess.Popen[str]") -> None:
    """Kills the process group that `child` leads; one that is gone is fine."""
    # The child is not reaped yet, so its pid, which is the group's number, cannot be another's.
    if child.returncode is None:
        os.killpg(child.pid, signal.SIGKILL)
