# SPDX-License-Identifier: LGPL-2.1-or-later
"""Signals to the whole process: an interrupt has its exit code, and nohup(1) is respected."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import signal, sys
import atomic_sys.__main__ as program
def wait(_argv):
    print("ready", flush=True)
    sys.stdin.readline()
    return 0
program.dispatch = wait
if sys.argv[1] == "ignored":
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
program.main()
"""


@pytest.mark.parametrize(
    ("number", "hangups", "code"),
    [
        (signal.SIGINT, "default", 130),
        (signal.SIGTERM, "default", 130),
        (signal.SIGHUP, "default", 130),
        (signal.SIGHUP, "ignored", 0),
    ],
)
def test_signals(number: signal.Signals, hangups: str, code: int) -> None:
    environment = os.environ | {"PYTHONPATH": os.fspath(Path(__file__).parents[3])}
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, hangups],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment,
    ) as child:  # fmt: skip
        assert child.stdout is not None
        assert child.stdout.readline() == b"ready\n"
        child.send_signal(number)
        _, said = child.communicate(b"\n", timeout=30)
    assert child.returncode == code
    assert said == (b"atomic: interrupted\n" if code else b"")


def test_a_reader_that_goes_away_is_no_traceback() -> None:
    environment = os.environ | {"PYTHONPATH": os.fspath(Path(__file__).parents[3])}
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [sys.executable, "-m", "atomic_sys", "containers", "--help"],
        stdout=writer, stderr=subprocess.PIPE, env=environment, timeout=30, check=False,
    )  # fmt: skip
    os.close(writer)
    assert b"Traceback" not in done.stderr
