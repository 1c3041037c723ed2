# SPDX-License-Identifier: LGPL-2.1-or-later
"""What is replaced or removed comes back as it was: content, mode, owner, and where a link led."""

import errno
import os
from pathlib import Path

import pytest

from atomic_sys.engine import apply as apply_module
from atomic_sys.engine.journal_format import Header
from atomic_sys.engine.operations import (
    Plan,
    Reenable,
    Reload,
    RemoveFile,
    ReplaceFile,
    Start,
    Stop,
    SwapLink,
)
from atomic_sys.engine.recover import recover
from atomic_sys.errors import AtomicSysError
from tests.support.layers import listing
from tests.unit.engine.hosts import FakeManager, journal_of, make_root, tools_for
from tests.unit.engine.test_crash import killed

UNIT = "etcd.service"
CHECKOUTS = "/var/lib/containers/atomic"
UPDATE: Plan = (
    ReplaceFile(path="/etc/secret", content=b"new", mode=0o644),
    ReplaceFile(path="/etc/link", target="elsewhere"),
    ReplaceFile(path="/etc/below/new", content=b"1"),
    ReplaceFile(path="/etc/new-link", target="/x"),
    ReplaceFile(path="/etc/hostname", target="/now/a/link"),
    RemoveFile(path="/etc/gone"),
    RemoveFile(path="/etc/gone-link", sha256="0"),
    RemoveFile(path="/etc/never"),
    SwapLink(directory=CHECKOUTS, name="etcd", target=f"{CHECKOUTS}/etcd.1"),
    Reenable(unit=UNIT),
    Reload(),
    Stop(unit=UNIT, container="etcd", runtime="", again=(UNIT, "docker.service")),
    Start(unit=UNIT, container="etcd", runtime=""),
)


def no_links(*_: object, **__: object) -> None:
    """As os.link() where the journal is on another file system."""
    raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))


@pytest.fixture(params=["linked", "copied"])
def root(tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A root whose files the journal keeps under another name, or as copies."""
    if request.param == "copied":
        monkeypatch.setattr(os, "link", no_links)
    root = make_root(tmp_path)
    (root / "etc/secret").write_bytes(b"x" * 3_000_000)
    (root / "etc/secret").chmod(0o640)
    if os.geteuid() == 0:
        os.chown(root / "etc/secret", 1, 2)
    (root / "etc/gone").write_text("gone\n")
    for name in ("link", "gone-link"):
        (root / "etc" / name).symlink_to("somewhere")
    (root / "var/lib/containers/atomic/etcd").symlink_to(f"{CHECKOUTS}/etcd.0")
    wants = root / "etc/systemd/system/multi-user.target.wants" / UNIT
    wants.symlink_to(f"/etc/systemd/system/{UNIT}")
    return root


def apply(root: Path, manager: FakeManager | None = None) -> None:
    with tools_for(root, manager) as tools:
        apply_module.apply(UPDATE, tools, journal_of(tools.root), Header(what="update"))


def test_what_fails_at_the_end_puts_everything_back(root: Path) -> None:
    before, manager = listing(root), FakeManager(root, frozenset({"start"}))
    with pytest.raises(AtomicSysError, match="start is broken"):
        apply(root, manager)
    assert listing(root) == before
    # Files first, then systemd reads them, then all that ran is started, whatever becomes of it.
    undo = manager.calls[manager.calls.index(f"start {UNIT}") + 1 :]
    assert undo == [
        f"stop {UNIT}", f"reset-failed {UNIT}", f"disable {UNIT}", f"enable {UNIT}", "reload",
        f"reset-failed {UNIT}", f"start {UNIT}",
        "reset-failed docker.service", "start docker.service",
    ]  # fmt: skip


def test_killed_anywhere_it_is_as_before_or_as_wanted(root: Path) -> None:
    before, number, deaths = listing(root), 1, 0
    while killed(number, lambda: apply(root)):
        with tools_for(root) as tools:
            recover(journal_of(tools.root), tools, None)
        if listing(root) != before:
            break
        number, deaths = number + 17, deaths + 1
    assert deaths > 30
    assert (root / "etc/secret").read_bytes() == b"new"
    assert (root / "etc/link").readlink() == Path("elsewhere")
    assert not (root / "etc/gone").exists()
    assert (root / "var/lib/containers/atomic/etcd").readlink().name == "etcd.1"
