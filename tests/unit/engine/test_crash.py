# SPDX-License-Identifier: LGPL-2.1-or-later
"""Killed at any line of the program: what the next command finds is as before, or as wanted."""

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType

import pytest

from atomic_sys.engine import recover as recover_module
from atomic_sys.engine.apply import apply, finish
from atomic_sys.engine.journal_format import Entry, Header
from atomic_sys.engine.observe import Installed
from atomic_sys.engine.operations import Disable, Plan, RemoveFile, RemoveTree, Stop, SwapLink
from atomic_sys.engine.recover import recover
from atomic_sys.engine.steps import Tools
from atomic_sys.errors import AtomicSysError
from atomic_sys.model.names import ContainerName
from tests.support.layers import listing
from tests.unit.engine.hosts import FakeManager, journal_of, make_root, record, tools_for
from tests.unit.engine.plans import DEPLOYMENT, INSTALL, REMOVALS, fake_tmpfiles

__all__ = ["fake_tmpfiles"]  # a fixture that applies here too
STEP = 13  # lines between two deaths; a prime, so that they fall everywhere


class Killer:
    """Kills the process at the nth line that the program runs."""

    def __init__(self, number: int) -> None:
        self.left = number

    def __call__(self, frame: FrameType, event: str, _argument: object) -> "Killer | None":
        if "/atomic_sys/" not in frame.f_code.co_filename:
            return None
        if event == "line":
            self.left -= 1
            if self.left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
        return self


def killed(number: int, deed: Callable[[], None]) -> bool:
    """Do the deed in a process that dies at its nth line; whether it lived so long."""
    child = os.fork()
    if child == 0:
        sys.settrace(Killer(number))
        try:
            deed()
        finally:
            sys.settrace(None)
            os._exit(0)
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return make_root(tmp_path)


def install(tools: Tools) -> None:
    apply(INSTALL, tools, journal_of(tools.root), Header(what="install"))


def uninstall(tools: Tools) -> None:
    removals: Plan = REMOVALS
    finish(removals, tools, journal_of(tools.root), "uninstall")  # type: ignore[arg-type]  # it is one


def recovered(root: Path, tools: Tools, death: int) -> None:
    """Recover, itself killed at first at some line, and then not."""
    killed(death % 211, lambda: recover_now(tools))
    recover_now(tools)
    assert list((root / "var/lib/containers/atomic/.journal").iterdir()) == []


def recover_now(tools: Tools) -> None:
    recover(journal_of(tools.root), tools, None)


def test_an_installation_is_there_or_not(root: Path) -> None:
    before, number, deaths = listing(root), STEP, 0
    with tools_for(root) as tools:
        while killed(number, lambda: install(tools)):
            recovered(root, tools, number)
            found = listing(root)
            if found != before:  # it was done, and died afterwards
                assert "var/lib/containers/atomic/etcd" in found, f"line {number}"
                break
            number, deaths = number + STEP, deaths + 1
    assert deaths > 50
    assert (root / "etc/systemd/system/multi-user.target.wants/etcd.service").is_symlink()


def test_an_uninstallation_is_finished_or_has_not_begun(root: Path) -> None:
    before, number, finished = listing(root), STEP, 0
    with tools_for(root) as tools:
        install(tools)
        installed = listing(root)
        while killed(number, lambda: uninstall(tools)):
            recovered(root, tools, number)
            found = {path: what for path, what in listing(root).items() if "run/etcd" not in path}
            if found != {path: what for path, what in installed.items() if "run/etcd" not in path}:
                assert found == before, f"line {number}"
                finished += 1
                install(tools)
            number += STEP
    assert finished > 10


STOPPED = ["stop etcd.service", "reset-failed etcd.service"]
STARTED = ["reset-failed etcd.service", "start etcd.service"]


@pytest.mark.parametrize(
    ("mounted", "before", "calls"),
    [
        (True, None, STOPPED),  # the name leads nowhere afterwards
        (True, "/var/lib/containers/atomic/etcd.1", [*STOPPED, *STARTED]),
        (False, "/var/lib/containers/atomic/etcd.1", []),  # it runs from the old one
    ],
)
def test_what_runs_from_it_is_stopped_before_its_files_go(
    before: str | None,
    calls: list[str],
    root: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    mounted: bool,
) -> None:
    manager = FakeManager(root)
    roots = frozenset({f"{DEPLOYMENT}/rootfs".encode()} if mounted else {b"/"})
    monkeypatch.setattr(recover_module, "mounted_roots", lambda: roots)
    directory, _, name = DEPLOYMENT.rpartition("/")
    with tools_for(root, manager) as tools:
        journal = journal_of(tools.root)
        journal.begin(Header(what="install"))
        journal.append(Entry(undo=RemoveTree(directory=directory, name=name)))
        if before is not None:
            swap = SwapLink(directory=directory, name="etcd", target=before)
            journal.append(Entry(undo=swap))
        journal.close()
        etcd = Installed(
            name=ContainerName.parse("etcd"), deployment=DEPLOYMENT, preinstalled=False,
            record=record(),
        )  # fmt: skip
        assert recover(journal, tools, etcd) == "install"
    assert manager.calls == calls


def test_who_interrupts_the_stop_of_an_uninstallation_keeps_the_container(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    manager = FakeManager(root)

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(manager, "reset_failed", interrupted)
    running = ("etcd.service", "flannel.service")
    stop = Stop(unit="etcd.service", container="etcd", runtime="", again=running)
    with tools_for(root, manager) as tools:
        before = listing(root)
        with pytest.raises(KeyboardInterrupt):
            finish((stop, Disable(unit="etcd.service")), tools, journal_of(tools.root), "uninstall")
        monkeypatch.undo()
        recover(journal_of(tools.root), tools, None)  # nobody could start it while that was broken
    assert manager.calls[0] == "stop etcd.service"
    assert manager.calls[-1] == "start flannel.service"
    assert listing(root) == before


def test_a_unit_that_systemd_read_unasked_is_forgotten(root: Path) -> None:
    manager = FakeManager(root)
    with tools_for(root, manager) as tools:
        journal = journal_of(tools.root)
        journal.begin(Header(what="install"))
        journal.append(Entry(undo=RemoveFile(path="/etc/systemd/system/etcd.service")))
        journal.close()
        recover(journal, tools, None)
    assert manager.calls == ["reload"]


def test_what_cannot_be_taken_back_yet_is_tried_again(root: Path) -> None:
    with tools_for(root, FakeManager(root, frozenset({"disable"}))) as tools:
        journal = journal_of(tools.root)
        journal.begin(Header(what="install"))
        journal.append(Entry(undo=Disable(unit="etcd.service")))
        journal.close()
        for _ in range(2):
            with pytest.raises(AtomicSysError, match="not yet as it was before"):
                recover(journal, tools, None)
    with tools_for(root) as tools:
        assert recover(journal_of(tools.root), tools, None) == "install"
        assert recover(journal_of(tools.root), tools, None) is None
