# SPDX-License-Identifier: LGPL-2.1-or-later
"""All of a plan, or as if it had never begun: whatever fails, and whenever the user interrupts."""

import os
import typing
from pathlib import Path

import pytest

from atomic_sys.engine import apply as apply_module
from atomic_sys.engine.declared import RunHook
from atomic_sys.engine.file_steps import AlreadyThere
from atomic_sys.engine.journal_format import Header
from atomic_sys.engine.operations import (
    MakeDirectory,
    Operation,
    Plan,
    Reenable,
    SwapLink,
)
from atomic_sys.engine.steps import Tools, UndoLog, perform, unwind
from atomic_sys.errors import AtomicSysError
from atomic_sys.model.hooks import Hook
from tests.support.layers import listing
from tests.unit.engine.hosts import WANTS, FakeManager, journal_of, tools_for
from tests.unit.engine.plans import (
    CHECKOUTS,
    DEPLOYMENT,
    FIRST_UNIT_FILE,
    INSTALL,
    REMOVALS,
    UNIT,
    apply,
    fake_tmpfiles,
    forget,
    root,
)

__all__ = ["fake_tmpfiles", "root"]  # fixtures that apply here too


class Broken(AtomicSysError):
    """What the tests let fail."""


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
