# SPDX-License-Identifier: LGPL-2.1-or-later
"""A command as a whole process: wall time with everything on the disk at its end, CPU, memory."""

import os
import statistics
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from atomic_sys.fs.atomic import sync_file_system

_SAMPLING = 0.01  # seconds between two looks at a process's memory


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One run: seconds of wall time until all is synced, seconds of CPU time (user and system)."""

    wall: float
    cpu: float


class Failed(Exception):
    """A command that was to be measured did not do its work."""


def run(argv: Sequence[str], directory: Path) -> Sample:
    """Run the command and sync the file system of the directory. Raises Failed."""
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        begin = time.perf_counter()
        with _started(argv) as process:
            _, status, used = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            sync_file_system(fd)
            wall = time.perf_counter() - begin
            _check(process)
    finally:
        os.close(fd)
    return Sample(wall=wall, cpu=used.ru_utime + used.ru_stime)


def reported(argv: Sequence[str]) -> Sample:
    """Run a command that prints what it measured itself: its last line. Raises Failed."""
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    words = done.stdout.decode().rpartition("\n")[0].rpartition("\n")[2].split()
    if done.returncode or len(words) != 2:
        raise Failed(f"{argv!r}: {done.stderr[-2000:].decode(errors='replace')}")
    return Sample(wall=float(words[0]), cpu=float(words[1]))


def peak_memory(argv: Sequence[str]) -> int:
    """The bytes that the command and all its children held at once, pages in common counted once.

    Sampled (`Pss` of smaps_rollup, proc(5)), so it takes time that the command is not to be blamed
    for. Raises Failed.
    """
    peak = 0
    with _started(argv) as process:
        while process.poll() is None:
            peak = max(peak, sum(_proportional(pid) for pid in _family(process.pid)))
            time.sleep(_SAMPLING)
        _check(process)
    return peak


def _started(argv: Sequence[str]) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )


def _check(process: "subprocess.Popen[bytes]") -> None:
    said = process.stderr.read() if process.stderr is not None else b""
    if process.returncode:
        raise Failed(f"{process.args!r}: {said[-2000:].decode(errors='replace')}")


def _family(pid: int) -> list[int]:
    found = [pid]
    for member in found:
        try:
            for task in os.listdir(f"/proc/{member}/task"):
                children = Path(f"/proc/{member}/task/{task}/children").read_text()
                found += [int(word) for word in children.split()]
        except OSError:
            continue
    return found


def _proportional(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) << 10 for line in lines if line.startswith("Pss:")), 0)


def median(samples: Sequence[float]) -> float:
    """The median, so that one disturbed run does not count."""
    return statistics.median(samples)
