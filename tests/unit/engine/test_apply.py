# SPDX-License-Identifier: LGPL-2.1-or-later
"""All of a plan, or as if it had never begun: whatever fails, and whenever the user interrupts."""

import os
import shutil
import signal
import sys
import typing
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

import pytest

from atomic_sys.engine import apply as apply_module
from atomic_sys.engine.declared import Confirm, RemoveState, RunHook
from atomic_sys.engine.file_steps import AlreadyThere
from atomic_sys.engine.interrupts import held
from atomic_sys.engine.journal_format import Header
from atomic_sys.engine.operations import (
    CheckOut,
    CreateTmpfiles,
    Disable,
    Enable,
    InstallHostFile,
    MakeDirectory,
    MakeHostDirectory,
    Operation,
    Plan,
    Protect,
    Reenable,
    Reload,
    RemoveEmptyDirectory,
    RemoveFile,
    RemoveTmpfiles,
    RemoveTree,
    ReplaceFile,
    Start,
    StartDependents,
    Stop,
    SwapLink,
    SyncFileSystem,
    WriteFile,
)
from atomic_sys.engine.steps import Tools, UndoLog, perform, unwind
from atomic_sys.errors import AtomicSysError
from atomic_sys.model.hooks import Hook
from atomic_sys.systemd import tmpfiles
from tests.support.layers import listing
from tests.unit.engine.hosts import WANTS, FakeManager, journal_of, make_root, tools_for

CHECKOUTS = "/var/lib/containers/atomic"
DEPLOYMENT = f"{CHECKOUTS}/etcd.0"
UNIT = "etcd.service"
INSTALL: Plan = (
    MakeDirectory(directory=CHECKOUTS, name="etcd.0"),
    CheckOut(image="etcd", commit="2" * 64, directory=DEPLOYMENT),
    WriteFile(directory=DEPLOYMENT, name="config.json", content=b"{}", mode=0o600),
    InstallHostFile(path="/usr/local/bin/etcdctl", content=b"#!", mode=0o755),
    InstallHostFile(path="/bin/ctl", target="/usr/local/bin/etcdctl"),
    MakeHostDirectory(path="/etc/etcd/conf.d"),
    Protect(directory=DEPLOYMENT),
    SyncFileSystem(directory=DEPLOYMENT),
    WriteFile(directory="/etc/systemd/system", name=UNIT, content=b"[Unit]\n"),
    WriteFile(directory=f"/etc/systemd/system/{UNIT}.d", name="50.conf", content=b"[Unit]\n"),
    ReplaceFile(path="/etc/new", content=b"new"),
    SwapLink(directory=CHECKOUTS, name="etcd", target=DEPLOYMENT),
    Enable(unit=UNIT),
    Reload(),
    CreateTmpfiles(path="/etc/tmpfiles.d/etcd.conf", missing=("/run/etcd", "/run/etcd/data")),
    Start(unit=UNIT, container="etcd", runtime=""),
    Confirm(unit=UNIT, container="etcd", runtime="", settle=0),
    StartDependents(units=("flannel.service",)),
)
FIRST_UNIT_FILE = next(
    at for at, one in enumerate(INSTALL)
    if isinstance(one, WriteFile) and one.directory == "/etc/systemd/system"
)  # fmt: skip
REMOVALS: Plan = (
    Stop(unit=UNIT, container="etcd", runtime="/none"),
    Disable(unit=UNIT),
    RemoveFile(path=f"/etc/systemd/system/{UNIT}"),
    RemoveFile(path=f"/etc/systemd/system/{UNIT}.d/50.conf"),
    RemoveEmptyDirectory(path=f"/etc/systemd/system/{UNIT}.d"),
    Reload(),
    RemoveTmpfiles(path="/etc/tmpfiles.d/etcd.conf"),
    RemoveState(base="/run", path="etcd/data"),
    RemoveFile(path="/bin/ctl", sha256="0"),
    RemoveFile(path="/etc/new"),
    RemoveFile(path="/usr/local/bin/etcdctl"),
    *(
        RemoveEmptyDirectory(path=path)
        for path in ("/etc/etcd/conf.d", "/etc/etcd", "/usr/local/bin", "/usr/local")
    ),
    RemoveTree(directory=CHECKOUTS, name="etcd.0"),
    RemoveFile(path=f"{CHECKOUTS}/etcd"),
)


def apply(plan: Plan, tools: Tools) -> None:
    """The plan as a transaction of etcd's."""
    apply_module.apply(plan, tools, journal_of(tools.root), Header(what="install"))


def forget(root: Path) -> None:
    """Remove the journal of an undo that could not do everything."""
    shutil.rmtree(root / "var/lib/containers/atomic/.journal/etcd", ignore_errors=True)


class Broken(AtomicSysError):
    """What the tests let fail."""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return make_root(tmp_path)


@pytest.fixture(autouse=True)
def fake_tmpfiles(root: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """systemd-tmpfiles, as far as the plan needs it."""
    removed: list[str] = []
    data = root / "run/etcd/data"
    monkeypatch.setattr(
        tmpfiles, "create", lambda *_, **__: data.mkdir(parents=True, exist_ok=True)
    )

    def remove(files: list[str], **_: str) -> None:
        removed.extend(files)
        raise AtomicSysError("no such file")

    monkeypatch.setattr(tmpfiles, "remove", remove)
    return removed


def test_every_operation_can_be_performed_and_described() -> None:
    for operation in typing.get_args(Operation):
        assert perform.dispatch(operation) is not perform.dispatch(object), operation
    hook = RunHook(hook=Hook.UNINSTALL, container="etcd", runtime="", command=("leave",), limit=1)
    every: Plan = (*INSTALL, *REMOVALS, Reenable(unit=UNIT), hook)
    for step in every:
        assert step.describe().isprintable()
    used = {type(step) for step in every}
    assert used == set(typing.get_args(Operation))


def test_what_is_no_operation_is_a_programming_error(root: Path) -> None:
    with tools_for(root) as tools, pytest.raises(TypeError, match="no way to perform int"):
        perform(typing.cast("Operation", 1), tools, UndoLog())


def test_a_plan_does_what_it_says_and_its_removals_take_it_back(
    root: Path, fake_tmpfiles: list[str]
) -> None:
    before, manager = listing(root), FakeManager(root)
    with tools_for(root, manager) as tools:
        apply(INSTALL, tools)
        assert (root / "var/lib/containers/atomic/etcd.0/rootfs/hello").read_text() == "hello\n"
        assert (root / "var/lib/containers/atomic/etcd").readlink() == Path(DEPLOYMENT)
        assert (root / "usr/bin/ctl").is_symlink()
        assert (root / "usr/local/bin/etcdctl").stat().st_mode & 0o7777 == 0o755
        assert (root / WANTS / UNIT).is_symlink()
        assert manager.calls == [
            f"enable {UNIT}", "reload", f"start {UNIT}", "start flannel.service",
        ]  # fmt: skip
        apply(REMOVALS, tools)
    assert fake_tmpfiles == [f"{root}/etc/tmpfiles.d/etcd.conf"]
    (root / "run/etcd").rmdir()
    assert listing(root) == before


@pytest.mark.parametrize("at", range(len(INSTALL)))
@pytest.mark.parametrize("error", [Broken("no"), OSError(28, "no space"), KeyboardInterrupt()])
def test_a_failure_after_any_step_leaves_nothing(
    at: int, error: BaseException, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, manager = listing(root), FakeManager(root)

    def failing(operation: Operation, tools: Tools, undo: UndoLog) -> None:
        perform(operation, tools, undo)
        if operation is INSTALL[at]:
            raise error

    monkeypatch.setattr(apply_module, "perform", failing)
    with tools_for(root, manager) as tools, pytest.raises(type(error)):
        apply(INSTALL, tools)
    assert listing(root) == before
    # Also before the plan's own Reload, since systemd may have read the unit on its own.
    assert (manager.calls[-1:] == ["reload"]) == (at >= FIRST_UNIT_FILE)
    assert (f"stop {UNIT}" in manager.calls) == (at >= len(INSTALL) - 3)


# Each takes the place that a step wants, before the plan begins.
OBSTACLES = {
    "deployment": lambda root: (root / "var/lib/containers/atomic/etcd.0").mkdir(),
    "link": lambda root: (root / "var/lib/containers/atomic/etcd").write_text(""),
    "host file": lambda root: (root / "usr/bin/ctl").write_text("mine"),
    "host directory": lambda root: (root / "etc/etcd").write_text("mine"),
    "unit": lambda root: (root / f"etc/systemd/system/{UNIT}").write_text("mine"),
    "dangling link": lambda root: (root / f"etc/systemd/system/{UNIT}").symlink_to("/none"),
    "drop-in": lambda root: (root / f"etc/systemd/system/{UNIT}.d").write_text("mine"),
    "enabled": lambda root: (root / WANTS / UNIT).mkdir(),
}


@pytest.mark.parametrize("what", OBSTACLES)
def test_what_is_in_the_way_stays_and_nothing_comes(what: str, root: Path) -> None:
    OBSTACLES[what](root)
    before = listing(root)
    manager = FakeManager(root, frozenset({"disable"} if what == "enabled" else ()))
    with tools_for(root, manager) as tools, pytest.raises((AtomicSysError, OSError)):
        apply(INSTALL, tools)
    forget(root)
    assert listing(root) == before


@pytest.mark.parametrize("call", ["enable", "reload", "start"])
def test_what_systemd_refuses_leaves_nothing(call: str, root: Path) -> None:
    before, manager = listing(root), FakeManager(root, frozenset({call}))
    with tools_for(root, manager) as tools, pytest.raises(AtomicSysError, match=f"{call} is"):
        apply(INSTALL, tools)
    forget(root)
    assert listing(root) == before


def test_a_failed_check_out_takes_its_half_of_a_tree_with_it(root: Path) -> None:
    before = listing(root)
    with tools_for(root) as tools:

        def check_out(image: str, dfd: int, name: str) -> None:
            tools.check_out(image, dfd, name)
            raise Broken("disk full")

        broken = Tools(
            root=tools.root, root_path=tools.root_path, manager=tools.manager,
            check_out=check_out, protect=tools.protect, backup=tools.backup, say=tools.say,
            start_timeout=1,
        )  # fmt: skip
        with pytest.raises(Broken) as caught:
            apply(INSTALL, broken)
    assert caught.value.__notes__ == [f"while check out etcd to {DEPLOYMENT}/rootfs"]
    assert listing(root) == before


def test_what_cannot_be_taken_back_is_said_and_the_rest_is(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before, manager = listing(root), FakeManager(root, frozenset({"start", "disable", "stop"}))
    with tools_for(root, manager) as tools, pytest.raises(AtomicSysError, match="start is broken"):
        apply(INSTALL, tools)
    (root / WANTS / UNIT).unlink()
    assert (root / "var/lib/containers/atomic/.journal/etcd/log").exists()  # to be tried again
    forget(root)
    assert listing(root) == before
    assert f"warning: could not disable {UNIT}: disable is broken\n" in capsys.readouterr().err
    # Stopping failed, and still the failure is forgotten; the reload is the last word.
    assert manager.calls[-4:] == [f"stop {UNIT}", f"reset-failed {UNIT}", f"disable {UNIT}",
                                  "reload"]  # fmt: skip


class Interrupter:
    """Sends the signal at the nth line that the program runs while it applies."""

    def __init__(self, number: int) -> None:
        self.left = number

    def __call__(self, frame: FrameType, event: str, _argument: object) -> "Interrupter | None":
        if "/atomic_sys/" not in frame.f_code.co_filename:
            return None
        if event == "line":
            self.left -= 1
            if self.left == 0:
                signal.raise_signal(signal.SIGTERM)
        return self


@pytest.fixture
def interruptible() -> Iterator[None]:
    """SIGTERM interrupts, as main() has it."""

    def interrupt(_signal: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.mark.usefixtures("interruptible")
def test_an_interrupt_at_any_line_leaves_all_or_nothing(root: Path) -> None:
    before, traced = listing(root), sys.gettrace()
    number, step, interrupted, done = 1, 3, 0, False
    while not done:
        interrupter = Interrupter(number)
        with tools_for(root) as tools:
            sys.settrace(interrupter)
            try:
                apply(INSTALL, tools)
            except KeyboardInterrupt:
                interrupted += 1
            finally:
                sys.settrace(traced)
        # What comes after the last step's check finds a plan that is done.
        done = (root / "var/lib/containers/atomic/etcd").is_symlink()
        assert done or listing(root) == before, f"line {number}"
        number += step
    assert interrupted > 50
    assert (root / WANTS / UNIT).is_symlink()
    assert (root / "run/etcd/data").is_dir()


@pytest.mark.usefixtures("interruptible")
def test_a_second_interrupt_does_not_stop_the_undo(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, manager = listing(root), FakeManager(root)

    def interrupt(*_: object, **__: object) -> None:
        signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr(manager, "start", interrupt)
    monkeypatch.setattr(manager, "stop", interrupt)
    with tools_for(root, manager) as tools, pytest.raises(KeyboardInterrupt):
        apply(INSTALL, tools)
    assert listing(root) == before


@pytest.mark.usefixtures("interruptible")
def test_interrupts_are_kept_back_until_they_are_asked_for() -> None:
    with held() as hold:
        signal.raise_signal(signal.SIGTERM)
        with pytest.raises(KeyboardInterrupt), hold.let_through():
            pytest.fail("it had arrived before")
        hold.check()
        with pytest.raises(KeyboardInterrupt), hold.let_through():
            signal.raise_signal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGTERM)


def test_swapping_points_back_what_pointed_elsewhere(root: Path) -> None:
    link = root / "var/lib/containers/atomic/etcd"
    link.symlink_to(f"{CHECKOUTS}/etcd.7")
    with tools_for(root) as tools:
        journal = journal_of(tools.root)
        journal.begin(Header(what="update"))
        undo = UndoLog(journal)
        perform(SwapLink(directory=CHECKOUTS, name="etcd", target="etcd.8"), tools, undo)
        assert os.readlink(link) == "etcd.8"
        assert unwind(undo.steps_back(), tools)
        journal.close()
    assert os.readlink(link) == f"{CHECKOUTS}/etcd.7"


def test_a_directory_that_is_there_is_not_taken_over(root: Path) -> None:
    with tools_for(root) as tools, pytest.raises(AlreadyThere):
        apply((MakeDirectory(directory="/etc", name="tmpfiles.d"),), tools)
    assert (root / "etc/tmpfiles.d").is_dir()


@pytest.mark.parametrize("kind", ["changed", "directory", "pipe", "link"])
def test_a_host_file_that_somebody_changed_stays(
    kind: str, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = root / "usr/bin/tool"
    match kind:
        case "changed":
            path.write_text("mine")
        case "directory":
            path.mkdir()
        case "pipe":
            os.mkfifo(path)
        case _:
            path.symlink_to("/none")
    before = listing(root)
    with tools_for(root) as tools:
        apply((RemoveFile(path="/bin/tool", sha256="0" * 64),), tools)
        apply((RemoveFile(path="/bin/tool", sha256=""),), tools)
    assert listing(root) == before
    said = capsys.readouterr().err
    assert said == 2 * "warning: Will not delete /bin/tool as it was manually modified.\n"


def test_a_directory_of_the_predecessors_record_goes_when_it_is_empty(root: Path) -> None:
    for name in ("empty", "full"):
        (root / "etc" / name).mkdir()
    (root / "etc/full/file").write_text("")
    with tools_for(root) as tools:
        apply(tuple(RemoveFile(path=f"/etc/{n}", sha256="0") for n in ("empty", "full")), tools)
    assert not (root / "etc/empty").exists()
    assert (root / "etc/full/file").exists()


@pytest.mark.parametrize(
    "operation",
    [
        RemoveFile(path="/none/at/all", sha256="0"),
        RemoveFile(path="/etc/hostname/below"),
        RemoveFile(path="/etc/none"),
        RemoveEmptyDirectory(path="/none/at/all"),
        RemoveEmptyDirectory(path="/usr"),
        RemoveTree(directory="/none", name="none"),
        RemoveTree(directory="/etc", name="none"),
    ],
)
def test_removing_what_is_gone_or_in_use_is_fine(operation: Operation, root: Path) -> None:
    before = listing(root)
    with tools_for(root) as tools:
        apply((operation,), tools)
    assert listing(root) == before


def test_stopping_asks_the_runtime_and_offline_nobody(root: Path) -> None:
    runtime, manager = root / "runtime", FakeManager(root)
    runtime.write_text(f'#!/bin/sh\necho "$@" >> {root}/asked; exit 1\n')
    runtime.chmod(0o755)
    stop = Stop(unit=UNIT, container="etcd", runtime=str(runtime))
    with tools_for(root, manager) as tools:
        apply((stop,), tools)
        assert (root / "asked").read_text() == "delete --force etcd\n"
        manager.online = False
        apply((stop,), tools)
    assert manager.calls == [f"stop {UNIT}", f"reset-failed {UNIT}"]
