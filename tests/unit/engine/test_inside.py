# SPDX-License-Identifier: LGPL-2.1-or-later
"""A command in a container: its time, its output, and nothing that stays. runc is a script."""

import contextlib
import os
import signal
import subprocess
import threading
import time
from pathlib import Path

import pytest

from atomic_sys.engine import inside
from atomic_sys.engine.inside import Failed, TookTooLong, execute

# As runc does: a session of its own for the command, whose pid is told, and which is waited for. It
# starts in no time, and the command begins when its pid is told: on a machine with much to do, both
# would else have to be done in the time that the tests give to the command.
RUNTIME = """#!/bin/sh
test "$1 $2 $4" = "exec --pid-file etcd" || exit 99
pid_file=$3
shift 4
exec setsid --fork --wait sh -c 'echo $$ >"$0"; exec "$@"' "$pid_file" "$@"
"""


@pytest.fixture
def runtime(tmp_path: Path) -> str:
    path = tmp_path / "runtime"
    path.write_text(RUNTIME)
    path.chmod(0o755)
    return str(path)


def test_a_command_that_ends_well(runtime: str, tmp_path: Path) -> None:
    execute(runtime, "etcd", ["touch", f"{tmp_path}/done"], 60)
    assert (tmp_path / "done").exists()


def test_the_end_of_what_it_said_is_in_the_error(runtime: str) -> None:
    script = "seq 1 100000; echo to stderr >&2; exit 7"
    with pytest.raises(Failed, match=r"^exit status 7: to stderr$") as caught:
        execute(runtime, "etcd", ["sh", "-c", script], 60)
    assert caught.value.lines[-2:] == ("100000", "to stderr")
    assert sum(map(len, caught.value.lines)) < 16 << 10


def test_silence_is_no_reason_not_to_fail(runtime: str) -> None:
    with pytest.raises(Failed, match=r"^exit status 1$"):
        execute(runtime, "etcd", ["false"], 60)


def test_a_runtime_that_is_not_there() -> None:
    with pytest.raises(Failed, match="cannot run /nowhere/runc: No such file"):
        execute("/nowhere/runc", "etcd", ["true"], 60)


def assert_ends(pid_file: Path) -> None:
    """Whoever is killed is gone a moment later."""
    stat, deadline = Path(f"/proc/{int(pid_file.read_text())}/stat"), time.monotonic() + 60
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        while stat.read_text().rpartition(")")[2].split()[0] != "Z":
            assert time.monotonic() < deadline, "it runs on"
            time.sleep(0.01)


def hangs(tmp_path: Path) -> list[str]:
    """A command with a child; both would stay for an hour."""
    script = f"sleep 3600 & echo $! >{tmp_path}/child; echo begun; wait"
    return ["sh", "-c", script]


def test_when_its_time_is_over_its_children_go_too(runtime: str, tmp_path: Path) -> None:
    with pytest.raises(TookTooLong, match=r"^took longer than 1 seconds: begun$"):
        execute(runtime, "etcd", hangs(tmp_path), 1)
    assert_ends(tmp_path / "child")


def test_closing_its_output_does_not_give_it_more_time(runtime: str) -> None:
    with pytest.raises(Failed, match="took longer"):
        execute(runtime, "etcd", ["sh", "-c", "exec >&- 2>&-; exec sleep 3600"], 0.5)


def test_what_holds_its_output_open_is_not_waited_for(runtime: str, tmp_path: Path) -> None:
    script = f"yes & echo $! >{tmp_path}/child"
    execute(runtime, "etcd", ["sh", "-c", script], 60)
    os.kill(int((tmp_path / "child").read_text()), signal.SIGKILL)


def test_an_interrupt_ends_it(runtime: str, tmp_path: Path) -> None:
    def interrupt() -> None:
        while not (tmp_path / "child").exists() or not (tmp_path / "child").read_text():
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        execute(runtime, "etcd", hangs(tmp_path), 60)
    thread.join()
    assert_ends(tmp_path / "child")


def test_a_pid_that_somebody_else_has_is_not_killed(runtime: str, tmp_path: Path) -> None:
    bystander = subprocess.Popen(["sleep", "3600"])
    try:
        (tmp_path / "pid").write_text(str(bystander.pid))
        child = subprocess.Popen(["sleep", "3600"], stdout=subprocess.DEVNULL)
        inside._end(child, str(tmp_path / "pid"))
        assert child.wait() == -signal.SIGKILL
        assert bystander.poll() is None
    finally:
        bystander.kill()
        bystander.wait()
