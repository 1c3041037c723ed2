# SPDX-License-Identifier: LGPL-2.1-or-later
"""The file-system floor: whole or not at all, inside or not at all, one at a time."""

import fcntl
import itertools
import os
import struct
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from atomic_sys.errors import AtomicSysError, Busy
from atomic_sys.fs import atomic, directory
from atomic_sys.fs.lock import LockKind, locked
from atomic_sys.fs.process import Command, CommandFailed


@pytest.fixture
def here(tmp_path: Path) -> Iterator[int]:
    fd = os.open(tmp_path, os.O_RDONLY)
    yield fd
    os.close(fd)


def names(path: Path) -> list[str]:
    return sorted(item.name for item in path.iterdir())


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "/a", "a\0b"])
def test_a_component_is_one_name(here: int, name: str) -> None:
    with pytest.raises(AtomicSysError):
        directory.component(name)
    with pytest.raises(AtomicSysError):
        atomic.write_file(here, name, b"")
    with pytest.raises(AtomicSysError):
        directory.remove_tree(here, name)


def test_write_and_read(here: int, tmp_path: Path) -> None:
    atomic.write_file(here, "f", b"one", 0o600)
    atomic.write_file(here, "f", b"two", 0o4755)
    assert atomic.read_file(here, "f", 3) == b"two"
    assert (tmp_path / "f").stat().st_mode & 0o7777 == 0o4755
    assert atomic.read_file(here, "g", 3) is None
    with pytest.raises(OSError, match="larger"):
        atomic.read_file(here, "f", 2)
    (tmp_path / "l").symlink_to("f")
    with pytest.raises(OSError, match="symbolic"):
        atomic.read_file(here, "l", 3)
    assert names(tmp_path) == ["f", "l"]


def test_a_failed_write_leaves_what_was(
    here: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "f").write_text("old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="space"):
        atomic.write_file(here, "f", b"new")
    assert (tmp_path / "f").read_text() == "old"
    assert names(tmp_path) == ["f"]


def test_another_name_of_a_file_takes_the_place_of_what_was_there(
    here: int, tmp_path: Path
) -> None:
    (tmp_path / "kept").write_text("kept")
    (tmp_path / "there").write_text("there")
    with (tmp_path / "kept").open() as kept:
        for _ in range(2):  # the second time they are one file, which rename(2) leaves alone
            atomic.link_file(kept.fileno(), here, "there")
    assert (tmp_path / "there").samefile(tmp_path / "kept")
    assert sorted(os.listdir(here)) == ["kept", "there"]


def test_swap_symlink(here: int, tmp_path: Path) -> None:
    atomic.swap_symlink(here, "l", "a")
    atomic.swap_symlink(here, "l", "b")
    assert directory.read_link(here, "l") == "b"
    assert directory.read_link(here, "m") is None
    (tmp_path / "d").mkdir()
    assert directory.read_link(here, "d") is None
    with pytest.raises(IsADirectoryError):
        atomic.swap_symlink(here, "d", "a")
    assert names(tmp_path) == ["d", "l"]
    atomic.sync_file_system(here)
    with pytest.raises(OSError, match="descriptor"):
        atomic.sync_file_system(-1)


def test_links_stay_inside_the_root(here: int, tmp_path: Path) -> None:
    (tmp_path / "root/etc").mkdir(parents=True)
    (tmp_path / "root/etc/f").write_text("inside")
    (tmp_path / "etc").mkdir()
    (tmp_path / "root/abs").symlink_to("/etc")
    (tmp_path / "root/up").symlink_to("../../../etc")
    with directory.opened(here, "root") as root:
        for path in ("abs/f", "up/f", "/etc/f", "../etc/f"):
            fd = directory.open_in_root(root, path, os.O_RDONLY)
            assert os.read(fd, 9) == b"inside"
            os.close(fd)
        with pytest.raises(FileNotFoundError):
            directory.open_in_root(root, "none")
        os.close(directory.make_directories(root, "up/new/deep"))
    assert (tmp_path / "root/etc/new/deep").is_dir()
    assert names(tmp_path / "etc") == []
    (tmp_path / "l").symlink_to("root")
    with pytest.raises(NotADirectoryError), directory.opened(here, "l"):
        pass


def test_a_tree_deeper_than_any_path_is_removed(here: int, tmp_path: Path) -> None:
    (tmp_path / "outside").write_text("stays")
    os.mkdir("top", dir_fd=here)
    with directory.opened(here, "top") as top:
        fd = os.dup(top)
        for _ in range(3000):
            os.mkdir("d", dir_fd=fd)
            os.symlink("/etc", "link", dir_fd=fd)
            below = os.open("d", os.O_RDONLY | os.O_DIRECTORY, dir_fd=fd)
            os.close(fd)
            fd = below
        os.close(fd)
    directory.remove_tree(here, "top")
    assert os.listdir(here) == ["outside"]


def test_remove_tree(here: int, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out/kept").write_text("")
    (tmp_path / "d/e/f").mkdir(parents=True)
    (tmp_path / "d/e/file").write_text("")
    (tmp_path / "d/link").symlink_to("../out")
    (tmp_path / "l").symlink_to("out")
    for name in ("d", "l", "missing"):
        directory.remove_tree(here, name)
    assert names(tmp_path) == ["out"]
    assert names(tmp_path / "out") == ["kept"]
    (tmp_path / "dangling").symlink_to("nowhere")
    assert directory.exists(here, "dangling")
    assert not directory.exists(here, "missing")


BOTH = list(itertools.product(LockKind, LockKind))


@pytest.mark.parametrize(("first", "second"), BOTH)
def test_locks(here: int, first: LockKind, second: LockKind) -> None:
    with locked(here, "lock", first, timeout=0, what="it"):
        if first is second is LockKind.SHARED:
            with take(here, second):
                pass
        else:
            with pytest.raises(Busy, match="it is in use"), take(here, second):
                pass
    with take(here, second):
        pass


def take(here: int, kind: LockKind) -> AbstractContextManager[None]:
    return locked(here, "lock", kind, timeout=0, what="it")


@pytest.mark.parametrize("way", ["flock", "ofd"])
def test_both_kinds_of_the_kernel_s_locks_are_honoured(here: int, tmp_path: Path, way: str) -> None:
    with (tmp_path / "lock").open("w") as other:
        if way == "flock":
            fcntl.flock(other, fcntl.LOCK_EX)
        else:
            whole = struct.pack("hhqqi", fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
            fcntl.fcntl(other, fcntl.F_OFD_SETLK, whole)
        with pytest.raises(Busy), take(here, LockKind.SHARED):
            pass
    with take(here, LockKind.EXCLUSIVE):
        pass


def test_processes() -> None:
    done = Command(argv=["sh", "-c", "cat; echo $SECRET >&2; exit 3"], stdin=b"in").run()
    assert (done.returncode, done.stdout, done.stderr) == (3, b"in", b"\n")
    with pytest.raises(CommandFailed, match="sh failed: one; two"):
        Command(argv=["sh", "-c", "printf 'one\ntwo\n' >&2; exit 1"]).check()
    with pytest.raises(CommandFailed, match="exit status 1"):
        Command(argv=["false"]).check()
    with pytest.raises(CommandFailed, match="not installed"):
        Command(argv=["no-such-program"]).run()
    with pytest.raises(CommandFailed, match="cannot run"):
        Command(argv=["/"]).run()
    with pytest.raises(CommandFailed, match="longer"):
        Command(argv=["sleep", "60"], timeout=0.01).run()
    assert Command(argv=["true"]).check().stdout == b""
