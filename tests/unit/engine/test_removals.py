# SPDX-License-Identifier: LGPL-2.1-or-later
"""What removals leave: what somebody changed, uses, or has removed already."""

import os
from pathlib import Path

import pytest

from atomic_sys.engine.operations import (
    Operation,
    RemoveEmptyDirectory,
    RemoveFile,
    RemoveTree,
    Stop,
)
from tests.support.layers import listing
from tests.unit.engine.hosts import FakeManager, tools_for
from tests.unit.engine.plans import UNIT, apply, fake_tmpfiles, root

__all__ = ["fake_tmpfiles", "root"]  # fixtures that apply here too


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
