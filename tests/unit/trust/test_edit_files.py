# SPDX-License-Identifier: LGPL-2.1-or-later
"""Trust files on disk: nothing is lost to a second writer, a kill, a link or a mistake."""

import multiprocessing
import os
import signal
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from atomic_sys.errors import AtomicSysError, Busy
from atomic_sys.fs.directory import open_root
from atomic_sys.fs.lock import LockKind, locked
from atomic_sys.trust import edit_files
from atomic_sys.trust.edit_files import (
    change_policy,
    clear_lookasides,
    remove_lookaside,
    save_key,
    set_lookaside,
)
from atomic_sys.trust.files import load_lookaside
from atomic_sys.trust.lookaside_edit import Change
from atomic_sys.trust.policy import InvalidPolicy, parse
from atomic_sys.trust.policy_edit import STARTING_POLICY, set_scope

OPEN = [{"type": "insecureAcceptAnything"}]
HERE = Change(lookaside="file:///here")


def add(path: str, scope: str) -> bool:
    return change_policy(
        path,
        lambda old: set_scope(old, path, ("docker", scope), OPEN),
        start=STARTING_POLICY,
        timeout=60,
    )


def scopes(path: Path) -> set[str]:
    return set(parse(path.read_bytes(), "p").transports["docker"])


def test_a_policy_is_made_where_there_is_none(tmp_path: Path) -> None:
    path = tmp_path / "etc/containers/policy.json"
    assert add(str(path), "a.example")
    assert not add(str(path), "a.example")
    assert scopes(path) == {"a.example"}
    assert stat.S_IMODE(path.stat().st_mode) == 0o644


def test_mode_owner_and_link_stay(tmp_path: Path) -> None:
    real, link = tmp_path / "real.json", tmp_path / "policy.json"
    real.write_bytes(STARTING_POLICY)
    real.chmod(0o640)
    if os.geteuid() == 0:
        os.chown(real, 12345, 54321)
    link.symlink_to(real)
    before = real.stat()
    (tmp_path / f".real.json.{'0' * 12}.tmp").write_text("left by a dead process")
    assert add(str(link), "a.example")
    after = real.stat()
    assert link.is_symlink()
    assert (after.st_mode, after.st_uid, after.st_gid) == (
        before.st_mode, before.st_uid, before.st_gid
    )  # fmt: skip
    assert sorted(os.listdir(tmp_path)) == [".real.json.lock", "policy.json", "real.json"]


def test_an_invalid_policy_stays_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "policy.json"
    path.write_text('{"default": []}')
    with pytest.raises(InvalidPolicy):
        add(str(path), "a.example")
    assert path.read_text() == '{"default": []}'


def test_what_is_no_file_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "policy.json"
    os.mkfifo(path)
    with pytest.raises(AtomicSysError, match=r"cannot write .*not a regular file"):
        add(str(path), "a.example")


def test_waiting_ends(tmp_path: Path) -> None:
    dfd = open_root(str(tmp_path))
    with (
        locked(dfd, ".policy.json.lock", LockKind.EXCLUSIVE, timeout=0, what="it"),
        pytest.raises(Busy),
    ):
        change_policy(str(tmp_path / "policy.json"), bytes, start=b"", timeout=0)
    os.close(dfd)


def test_many_at_once_lose_nothing(tmp_path: Path) -> None:
    path, registries_d = str(tmp_path / "policy.json"), str(tmp_path / "registries.d")
    context = multiprocessing.get_context("fork")
    names = {f"h{number}.example" for number in range(12)}
    processes = [context.Process(target=_both, args=(path, registries_d, name)) for name in names]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
        assert process.exitcode == 0
    assert scopes(Path(path)) == names
    assert set(load_lookaside(registries_d).docker) == names


def _both(path: str, registries_d: str, name: str) -> None:
    add(path, name)
    set_lookaside(registries_d, name, HERE, timeout=60)


@pytest.mark.parametrize("call", ["open", "write", "fchown", "fchmod", "fsync", "rename"])
def test_a_kill_at_any_call_loses_nothing(tmp_path: Path, call: str) -> None:
    """The file is the old one or the new one, and the next change works."""
    path = tmp_path / "policy.json"
    assert add(str(path), "a.example")
    process = multiprocessing.get_context("fork").Process(target=_die_at, args=(str(path), call))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    assert scopes(path) == {"a.example"}
    assert add(str(path), "c.example")
    assert scopes(path) == {"a.example", "c.example"}
    assert sorted(os.listdir(tmp_path)) == [".policy.json.lock", "policy.json"]


def _die_at(path: str, call: str) -> None:
    real = os.open

    def die(*arguments: Any, **named: Any) -> int:
        if call == "open" and not str(arguments[0]).endswith(".tmp"):
            return real(*arguments, **named)
        os.kill(os.getpid(), signal.SIGKILL)
        return 0

    setattr(os, call, die)
    add(path, "b.example")


def test_lookaside_of_a_new_scope_gets_a_file_of_its_own(tmp_path: Path) -> None:
    directory = tmp_path / "registries.d"
    written = set_lookaside(str(directory), "a.example:5000/x", HERE, timeout=0)
    assert written == str(directory / "a.example-5000-x.yaml")
    assert set_lookaside(str(directory), "a.example:5000/x", HERE, timeout=0) is None
    second = set_lookaside(str(directory), "a.example/5000/x", HERE, timeout=0)
    assert second == str(directory / "a.example-5000-x-2.yaml")
    assert set_lookaside(str(directory), "*", HERE, timeout=0) == str(directory / "scope.yaml")
    default = set_lookaside(str(directory), "default", HERE, timeout=0)
    assert default == str(directory / "default-2.yaml")


@pytest.fixture
def registries_d(tmp_path: Path) -> Path:
    directory = tmp_path / "registries.d"
    directory.mkdir()
    return directory


@pytest.mark.parametrize(
    "change",
    [
        lambda path: set_lookaside(path, "a.example", HERE, timeout=0),
        lambda path: remove_lookaside(path, "a.example", timeout=0),
        lambda path: clear_lookasides(path, timeout=0),
    ],
    ids=["set", "remove", "clear"],
)
def test_registries_d_is_locked(registries_d: Path, change: Callable[[str], object]) -> None:
    dfd = open_root(str(registries_d.parent))
    with (
        locked(dfd, ".registries.d.lock", LockKind.EXCLUSIVE, timeout=0, what="it"),
        pytest.raises(Busy),
    ):
        change(str(registries_d))
    os.close(dfd)
    change(str(registries_d))


def test_lookaside_of_a_known_scope_stays_in_its_file(registries_d: Path) -> None:
    file = registries_d / "theirs.yaml"
    file.write_text("# theirs\ndocker:\n  a.example:\n    lookaside: file:///a\n  b.example: {}\n")
    file.chmod(0o600)
    assert set_lookaside(str(registries_d), "a.example", HERE, timeout=0) == str(file)
    assert remove_lookaside(str(registries_d), "b.example", timeout=0) == str(file)
    assert file.read_text() == "# theirs\ndocker:\n  a.example:\n    lookaside: file:///here\n"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_file_that_says_nothing_more_goes(registries_d: Path) -> None:
    set_lookaside(str(registries_d), "a.example", HERE, timeout=0)
    assert remove_lookaside(str(registries_d), "a.example", timeout=0)
    assert remove_lookaside(str(registries_d), "a.example", timeout=0) is None
    assert remove_lookaside(str(registries_d / "none"), "a.example", timeout=0) is None
    assert os.listdir(registries_d) == []


def test_clearing_keeps_the_default(registries_d: Path) -> None:
    for name in ("a.yaml", "b.yaml", "default.yaml", "README"):
        (registries_d / name).touch()
    assert clear_lookasides(str(registries_d), timeout=0) == (
        f"{registries_d}/a.yaml", f"{registries_d}/b.yaml"
    )  # fmt: skip
    assert sorted(os.listdir(registries_d)) == ["README", "default.yaml"]
    assert clear_lookasides(str(registries_d / "none"), timeout=0) == ()


def test_a_file_that_vanishes_is_said(registries_d: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    set_lookaside(str(registries_d), "a.example", HERE, timeout=0)
    monkeypatch.setattr(edit_files, "_read", lambda *_: None)
    with pytest.raises(AtomicSysError, match="has just been removed"):
        remove_lookaside(str(registries_d), "a.example", timeout=0)


def test_key_files(tmp_path: Path) -> None:
    path = save_key(str(tmp_path / "pki"), "A.gpg", b"key")
    assert Path(path).read_bytes() == b"key"
    with pytest.raises(AtomicSysError, match="cannot write"):
        save_key(path, "B.gpg", b"key")
