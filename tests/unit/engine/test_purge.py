# SPDX-License-Identifier: LGPL-2.1-or-later
"""State on the disk: what is declared is removed, and nothing that a link or a mount leads to."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from atomic_sys.engine import purge
from atomic_sys.engine.apply import attempt
from atomic_sys.engine.declared import RemoveState
from atomic_sys.engine.journal_format import Header, decode, encode_header
from atomic_sys.engine.observe import Installed, require
from atomic_sys.engine.steps import Tools
from atomic_sys.fs.mount import Mount
from atomic_sys.model.names import ContainerName
from atomic_sys.paths import Paths
from tests.unit.engine.hosts import deploy, make_root, record, tools_for

PATHS = Paths()
STATE = RemoveState(base="/var/lib", path="etcd/data")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = make_root(tmp_path)
    (root / "var/lib/etcd/data/deep").mkdir(parents=True)
    (root / "var/lib/etcd/data/deep/file").write_text("x")
    (root / "var/lib/etcd/data/out").symlink_to("/etc")
    return root


@pytest.fixture
def tools(root: Path) -> Iterator[Tools]:
    with tools_for(root) as tools:
        yield tools


def remove(tools: Tools, state: RemoveState = STATE) -> None:
    attempt((state,), tools)


def test_state_is_removed_and_links_in_it_are_not_followed(root: Path, tools: Tools) -> None:
    remove(tools)
    assert list((root / "var/lib/etcd").iterdir()) == []
    assert (root / "etc/hostname").exists()
    remove(tools)  # once more, as after a crash
    remove(tools, RemoveState(base="/srv", path="never/was"))


def test_a_file_is_state_too(root: Path, tools: Tools) -> None:
    (root / "var/lib/etcd/db").write_text("x")
    remove(tools, RemoveState(base="/var/lib", path="etcd/db"))
    assert not (root / "var/lib/etcd/db").exists()


@pytest.mark.parametrize("link", ["var/lib/etcd/data", "var/lib/etcd"])
def test_a_link_stays_and_what_it_leads_to(
    link: str, root: Path, tools: Tools, capsys: pytest.CaptureFixture[str]
) -> None:
    (root / link).rename(root / "elsewhere")
    (root / link).symlink_to("/elsewhere")
    remove(tools)
    assert (root / link).is_symlink()
    assert list((root / "elsewhere").rglob("file"))
    assert "/var/lib/etcd/data stays: " in capsys.readouterr().err


def test_the_base_may_be_a_link(root: Path, tools: Tools) -> None:
    (root / "var/srv/etcd").mkdir(parents=True)
    (root / "srv").symlink_to("var/srv")
    remove(tools, RemoveState(base="/srv", path="etcd"))
    assert list((root / "var/srv").iterdir()) == []


@pytest.mark.parametrize("where", ["", "/deep"])
def test_what_is_mounted_stays(
    where: str,
    root: Path,
    tools: Tools,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    target = f"{root}/var/lib/etcd/data{where}"
    mounted = (Mount(root="/", target=target, source="nfs"),)
    monkeypatch.setattr(purge, "mounts", lambda: mounted)
    remove(tools)
    assert (root / "var/lib/etcd/data/deep/file").exists()
    assert f"a file system is mounted at {target}" in capsys.readouterr().err


def test_what_cannot_be_removed_is_told(
    root: Path, tools: Tools, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "unlink", fail)
    remove(tools)
    assert "could not be removed: Operation not permitted" in capsys.readouterr().err
    assert (root / "var/lib/etcd/data/deep/file").exists()


def test_a_journal_finishes_it() -> None:
    header = Header(what="uninstall", finish=(STATE,))
    assert decode(encode_header(header)).header == header


def container(root: Path, tools: Tools, name: str, state: list[str], mounted: str) -> Installed:
    """A container that declares this state, and mounts that path."""
    path = deploy(root, name, 0, record(state=tuple(state)).to_json())
    mounts = [{"type": "bind", "source": mounted, "destination": "/x"}]
    (path / "config.json").write_text(json.dumps({"mounts": mounts}))
    return require(tools.root, PATHS, ContainerName.parse(name))


def test_what_all_deployments_declare_is_judged(root: Path, tools: Tools) -> None:
    container(root, tools, "etcd", ["/var/lib/etcd/old"], "/var/lib/etcd")
    deploy(root, "etcd", 1, record(state=("/var/lib/etcd/data", "/etc")).to_json())
    etcd = require(tools.root, PATHS, ContainerName.parse("etcd"))
    found = {s.path: s.kept for s in purge.declared_state(etcd, (), tools.root, PATHS)}
    assert found["/var/lib/etcd/old"] is None
    assert found["/var/lib/etcd/data"] is None
    assert found["/etc"] is not None
    other = container(root, tools, "b", ["/var/lib/etcd/data"], "/var/lib/etcd/old")
    found = {s.path: s.kept for s in purge.declared_state(etcd, (other,), tools.root, PATHS)}
    assert found["/var/lib/etcd/old"] == "b mounts it too"
    assert found["/var/lib/etcd/data"] == "it is the state of b too"


def test_a_broken_config_mounts_nothing(root: Path, tools: Tools) -> None:
    etcd = container(root, tools, "etcd", ["/var/lib/etcd/data"], "/var/lib/etcd")
    (root / "var/lib/containers/atomic/etcd.0/config.json").write_text("{")
    (state,) = purge.declared_state(etcd, (), tools.root, PATHS)
    assert state.kept == "the container does not mount it"


def test_a_link_is_seen_before_it_is_asked_for(root: Path, tools: Tools) -> None:
    etcd = container(root, tools, "etcd", ["/var/lib/etcd/data"], "/var/lib/etcd")
    (root / "var/lib/etcd").rename(root / "elsewhere")
    (root / "var/lib/etcd").symlink_to("/elsewhere")
    (state,) = purge.declared_state(etcd, (), tools.root, PATHS)
    assert state.kept == "a part of its path is no directory"
