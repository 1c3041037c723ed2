# SPDX-License-Identifier: LGPL-2.1-or-later
"""A plan of all that an installation does, one that takes it back, and how to apply them."""

import shutil
from pathlib import Path

import pytest

from atomic_sys.engine import apply as apply_module
from atomic_sys.engine.declared import Confirm, RemoveState
from atomic_sys.engine.journal_format import Header
from atomic_sys.engine.operations import (
    CheckOut,
    CreateTmpfiles,
    Disable,
    Enable,
    InstallHostFile,
    MakeDirectory,
    MakeHostDirectory,
    Plan,
    Protect,
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
from atomic_sys.engine.steps import Tools
from atomic_sys.errors import AtomicSysError
from atomic_sys.systemd import tmpfiles
from tests.unit.engine.hosts import journal_of, make_root

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
