# SPDX-License-Identifier: LGPL-2.1-or-later
"""A root directory without a running systemd: real systemctl and systemd-tmpfiles, no PID 1."""

from pathlib import Path

import pytest

from atomic_sys.fs.process import CommandFailed
from atomic_sys.systemd import journal, tmpfiles
from atomic_sys.systemd.booted import is_online
from atomic_sys.systemd.manager import Change, Manager, SystemdError, UnitDetails
from atomic_sys.systemd.offline import OfflineManager
from atomic_sys.systemd.tmpfiles import Outcome

UNIT = "[Service]\nExecStart=/bin/true\n[Install]\nWantedBy=multi-user.target\n"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A root with a unit that can be enabled, and one that cannot."""
    units = tmp_path / "etc/systemd/system"
    units.mkdir(parents=True)
    (units / "etcd.service").write_text(UNIT)
    (units / "static.service").write_text("[Service]\nExecStart=/bin/true\n")
    return tmp_path


def test_it_is_a_manager(root: Path) -> None:
    manager: Manager = OfflineManager(str(root))
    assert not manager.online


@pytest.mark.conformance
def test_units_are_enabled_and_disabled(root: Path) -> None:
    manager = OfflineManager(str(root))
    link = root / "etc/systemd/system/multi-user.target.wants/etcd.service"
    assert manager.unit_file_state("etcd.service") == "disabled"
    (change,) = manager.enable(["etcd.service"])
    assert change.kind == "symlink"
    assert change.path.endswith("/etc/systemd/system/multi-user.target.wants/etcd.service")
    assert change.source == "/etc/systemd/system/etcd.service"
    assert link.is_symlink()
    assert manager.enable(["etcd.service"]) == ()
    assert manager.unit_file_state("etcd.service") == "enabled"
    (change,) = manager.disable(["etcd.service"])
    assert (change.kind, change.source) == ("unlink", "")
    assert not link.is_symlink()
    assert manager.disable(["etcd.service"]) == ()


@pytest.mark.conformance
def test_units_that_do_not_exist(root: Path) -> None:
    manager = OfflineManager(str(root))
    assert manager.unit_file_state("none.service") is None
    assert manager.unit_file_state("static.service") == "static"
    assert manager.disable(["none.service"]) == ()
    with pytest.raises(SystemdError, match="none"):
        manager.enable(["none.service"])
    states = manager.states(["etcd.service", "none.service"])
    assert [state.load for state in states.values()] == ["loaded", "not-found"]
    assert not any(state.is_active for state in states.values())


def test_what_cannot_be_done_is_said(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    manager = OfflineManager(str(root))
    manager.start("etcd.service")
    manager.restart("flannel.service")
    manager.stop("etcd.service")
    manager.reset_failed("etcd.service")
    manager.reload()
    assert capsys.readouterr().err == (
        "etcd.service will start at boot\nflannel.service will start at boot\n"
    )
    assert manager.details("etcd.service") == UnitDetails()
    assert manager.properties("etcd.service", ["Id"]) == {}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Created symlink /a/b → /c.", Change("symlink", "/a/b", "/c")),
        ("Created symlink '/a/b' → '/c'.", Change("symlink", "/a/b", "/c")),
        ("Created symlink /a/b -> /c.", Change("symlink", "/a/b", "/c")),
        ("Removed /a/b.", Change("unlink", "/a/b", "")),
        ('Removed "/a/b".', Change("unlink", "/a/b", "")),
    ],
)
def test_every_spelling_of_systemctl(
    text: str, expected: Change, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bin_directory = root / "bin"
    bin_directory.mkdir()
    fake = bin_directory / "systemctl"
    fake.write_text(f"#!/bin/sh\ncat >&2 <<'END'\n{text}\nEND\n")
    fake.chmod(0o755)
    monkeypatch.setattr("atomic_sys.fs.process._PATH", f"{bin_directory}:/usr/bin:/bin")
    assert OfflineManager(str(root)).enable(["a"]) == (expected,)


def test_when_systemd_is_ours(tmp_path: Path) -> None:
    booted = tmp_path / "booted"
    booted.mkdir()

    def online(root: str = "/", init_root: str = "/", where: Path = booted, **env: str) -> bool:
        return is_online(root, env, init_root=init_root, booted=str(where))

    assert online()
    assert online(SYSTEMD_OFFLINE="0")
    assert not online(SYSTEMD_OFFLINE="1")
    assert not online(root=str(tmp_path))
    assert not online(init_root=str(tmp_path)), "in a chroot, PID 1 has another root"
    assert not online(init_root=str(tmp_path / "none"))
    assert not online(where=tmp_path / "none")


def test_a_user_may_not_look_at_the_root_of_pid_1(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forbidden(path: str) -> None:
        raise PermissionError(path)

    monkeypatch.setattr("atomic_sys.systemd.booted.os.stat", forbidden)
    monkeypatch.setattr("atomic_sys.systemd.booted.os.path.isdir", lambda _path: True)
    assert is_online("/", {})


@pytest.mark.conformance
def test_directories_are_made_and_removed(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    conf = root / "etc/etcd.conf"
    conf.write_text("d /srv/etcd 0700 - - -\n")
    assert tmpfiles.create([str(conf)], str(root)) is Outcome.DONE
    assert (root / "srv/etcd").is_dir()
    conf.write_text("R /srv/etcd\n")
    assert tmpfiles.remove([str(conf)], str(root)) is Outcome.DONE
    assert not (root / "srv/etcd").exists()
    assert capsys.readouterr().err == ""


@pytest.mark.conformance
def test_a_partial_failure_is_warned_of(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    conf = root / "etc/etcd.conf"
    conf.write_text("d /srv/good 0700 - - -\nnonsense /x\n")
    assert tmpfiles.create([str(conf)], str(root)) is Outcome.PARTIAL
    assert (root / "srv/good").is_dir()
    assert "some lines are invalid" in capsys.readouterr().err


@pytest.mark.conformance
def test_a_failure_is_an_error(root: Path) -> None:
    assert tmpfiles.create([], str(root)) is Outcome.DONE
    with pytest.raises((SystemdError, CommandFailed)):
        tmpfiles.create([str(root / "etc/none.conf")], str(root))


def test_the_journal_of_one_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = tmp_path / "journalctl"
    fake.write_text('#!/bin/sh\necho "$@"; echo second\n')
    fake.chmod(0o755)
    monkeypatch.setattr("atomic_sys.fs.process._PATH", f"{tmp_path}:/usr/bin:/bin")
    arguments, second = journal.tail("etcd.service", 5, "ab01")
    assert arguments.endswith("--lines=5 _SYSTEMD_INVOCATION_ID=ab01")
    assert second == "second"
    assert journal.tail("etcd.service", 5)[0].endswith("--lines=5 --unit=etcd.service")
    fake.write_text("#!/bin/sh\nexit 1\n")
    assert journal.tail("etcd.service", 5) == ()
