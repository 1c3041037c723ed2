# SPDX-License-Identifier: LGPL-2.1-or-later
"""Locks by key: one file, any number of locks, between processes, gone with their holder."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from atomic_sys.errors import Busy
from atomic_sys.fs.lock import LockKind, key_locked, locked

HOLDER = """
import os, sys
from atomic_sys.fs.lock import key_locked
fd = os.open(sys.argv[1], os.O_RDONLY)
with key_locked(fd, ".lock", sys.argv[2], timeout=0, what="x"):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def here(tmp_path: Path) -> Iterator[int]:
    fd = os.open(tmp_path, os.O_RDONLY)
    yield fd
    os.close(fd)


@pytest.fixture
def holder(tmp_path: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """Another process that holds the key `etcd` until its stdin ends."""
    argv = [sys.executable, "-c", HOLDER, os.fspath(tmp_path), "etcd"]
    environment = os.environ | {"PYTHONPATH": os.fspath(Path(__file__).parents[3])}
    with subprocess.Popen(
        argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"held\n"
        yield child
        child.kill()


def take(here: int, key: str, timeout: float = 0) -> None:
    with key_locked(here, ".lock", key, timeout=timeout, what=f"the container {key}"):
        pass


def test_a_key_that_another_process_holds_is_busy(
    here: int, holder: "subprocess.Popen[bytes]"
) -> None:
    assert holder.poll() is None
    with pytest.raises(Busy, match="the container etcd is in use by another process"):
        take(here, "etcd")
    with pytest.raises(Busy):
        take(here, "etcd", timeout=0.1)
    take(here, "flannel")


@pytest.mark.parametrize("way", ["end", "kill"])
def test_a_key_goes_with_its_holder(way: str, here: int, holder: "subprocess.Popen[bytes]") -> None:
    if way == "kill":
        holder.send_signal(signal.SIGKILL)
    else:
        assert holder.stdin is not None
        holder.stdin.close()
    holder.wait(30)
    take(here, "etcd")


def test_waiting_gets_it_when_the_holder_goes(here: int, holder: "subprocess.Popen[bytes]") -> None:
    assert holder.stdin is not None
    holder.stdin.close()
    take(here, "etcd", timeout=30)


def test_keys_exclude_only_themselves_within_a_process_too(here: int) -> None:
    with key_locked(here, ".lock", "a", timeout=0, what="a"):
        with pytest.raises(Busy):
            take(here, "a")
        take(here, "b")
    take(here, "a")


def test_one_empty_file_for_all_keys(here: int, tmp_path: Path) -> None:
    for number in range(20):
        take(here, f"key-{number}")
    assert [(item.name, item.stat().st_size) for item in tmp_path.iterdir()] == [(".lock", 0)]
    assert (tmp_path / ".lock").stat().st_mode & 0o777 == 0o600


def test_a_link_in_place_of_the_file_is_not_followed(here: int, tmp_path: Path) -> None:
    (tmp_path / ".lock").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="Too many levels"):
        take(here, "a")
    assert not (tmp_path / "elsewhere").exists()


def test_the_whole_file_excludes_every_key(here: int) -> None:
    with (
        locked(here, ".lock", LockKind.EXCLUSIVE, timeout=0, what="all"),
        pytest.raises(Busy),
    ):
        take(here, "a")
