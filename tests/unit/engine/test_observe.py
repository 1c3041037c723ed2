# SPDX-License-Identifier: LGPL-2.1-or-later
"""What is on the host: read with whatever is broken, missing or not ours, and never guessed."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from atomic_sys.engine.drift import drift
from atomic_sys.engine.observe import find, installed, is_free, observe, require
from atomic_sys.errors import NotFound
from atomic_sys.model.names import ContainerName
from atomic_sys.paths import Paths
from tests.unit.engine.hosts import deploy, make_root, record

PATHS = Paths()
ETCD = ContainerName.parse("etcd")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return make_root(tmp_path)


@pytest.fixture
def fd(root: Path) -> Iterator[int]:
    opened = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    yield opened
    os.close(opened)


def test_nothing_is_installed_on_an_empty_disk(tmp_path: Path) -> None:
    empty = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    state = observe(empty, PATHS, ETCD)
    assert installed(empty, PATHS) == ()
    os.close(empty)
    assert (state.installed, state.deployments, state.free_number) == (None, (), 0)
    assert not (state.unit_exists or state.vendor_unit_exists or state.tmpfiles_exist)


def test_a_container_and_all_its_files(root: Path, fd: int) -> None:
    for number in (3, 0, 1):
        deploy(root, "etcd", number)
    for path in ("etc/systemd/system/etcd.service", "etc/tmpfiles.d/etcd.conf"):
        (root / path).symlink_to("/none")
    state = observe(fd, PATHS, ETCD)
    assert state.installed == find(fd, PATHS, ETCD) == require(fd, PATHS, ETCD)
    assert state.installed is not None
    assert state.installed.record == record()
    assert state.installed.deployment == "/var/lib/containers/atomic/etcd.1"
    assert (state.deployments, state.free_number) == ((0, 1, 3), 2)
    assert state.unit_exists
    assert state.tmpfiles_exist
    assert not state.vendor_unit_exists


def test_a_container_called_like_a_deployment_is_none(root: Path, fd: int) -> None:
    deploy(root, "etcd.0")
    state = observe(fd, PATHS, ETCD)
    assert (state.installed, state.deployments, state.free_number) == (None, (), 1)
    assert [c.name.value for c in installed(fd, PATHS)] == ["etcd.0"]


@pytest.mark.parametrize(
    ("info", "problem"),
    [
        (b"{", "invalid JSON"),
        (b"[]", "is not an object"),
        (b"\xff", "not UTF-8"),
        (b'{"image": "x", "created": 1e999}', "created is no time"),
        (b'{"image": "x", "created": 1000000000000000000}', "created is no time"),
        (b'{"image": "x", "installed-files": ["../etc/shadow"]}', "is no absolute path"),
        (b'{"image": "x", "installed-files-checksum": {"/a/../b": "0"}}', "is no absolute path"),
        (b'{"image": null}', "is not a string"),
    ],
)
def test_a_broken_record_hides_nobody(info: bytes, problem: str, root: Path, fd: int) -> None:
    deploy(root, "broken", info=info)
    deploy(root, "etcd")
    broken, etcd = installed(fd, PATHS)
    assert broken.record is None
    assert problem in str(broken.problem)
    assert broken.problem is not None
    assert "/var/lib/containers/atomic/broken.0/info" in broken.problem
    assert etcd.record == record()


def test_a_link_to_nothing_is_a_container_without_a_record(root: Path, fd: int) -> None:
    (root / "var/lib/containers/atomic/etcd").symlink_to("etcd.4")
    found = require(fd, PATHS, ETCD)
    assert found.deployment == "/var/lib/containers/atomic/etcd.4"
    assert found.problem == "/var/lib/containers/atomic/etcd.4/info is missing"


def test_a_record_that_is_a_link_is_not_followed(root: Path, fd: int) -> None:
    path = deploy(root, "etcd") / "info"
    path.rename(root / "etc/info")
    path.symlink_to("/etc/info")
    assert require(fd, PATHS, ETCD).record is None


def test_foreign_names_are_no_containers(root: Path, fd: int) -> None:
    checkouts = root / "var/lib/containers/atomic"
    (checkouts / "directory").mkdir()
    (checkouts / "file").write_text("")
    for name in (".hidden", "a b", "x.service", "-y"):
        (checkouts / name).symlink_to("/etc")
    assert installed(fd, PATHS) == ()
    with pytest.raises(NotFound, match="Unable to find the container directory"):
        require(fd, PATHS, ContainerName.parse("directory"))


def test_a_preinstalled_container_steps_back_for_an_installed_one(root: Path, fd: int) -> None:
    path = root / "usr/lib/containers/atomic/etcd"
    path.mkdir(parents=True)
    (path / "info").write_bytes(record(image="vendor").to_json())
    (found,) = installed(fd, PATHS)
    assert (found.preinstalled, found.deployment) == (True, "/usr/lib/containers/atomic/etcd")
    assert drift(found, fd, PATHS) == ()
    deploy(root, "etcd")
    (found,) = installed(fd, PATHS)
    assert not found.preinstalled


@pytest.mark.parametrize(
    ("path", "free"),
    [
        ("/etc/hostname", False),
        ("/etc", False),
        ("/etc/none", True),
        ("/none/at/all", True),
        ("/bin", False),
        ("/bin/tool", False),  # /bin is a link
        ("/etc/hostname/below", True),
        ("/dangling", False),
    ],
)
def test_what_is_free_is_asked_inside_the_root(
    path: str, root: Path, fd: int, *, free: bool
) -> None:
    (root / "usr/bin/tool").write_text("")
    (root / "dangling").symlink_to("/none")
    assert is_free(fd, path) == free


def test_checkouts_that_were_moved_behind_a_link_are_found(root: Path, fd: int) -> None:
    deploy(root, "etcd")
    (root / "data").mkdir()
    (root / "var/lib/containers/atomic").rename(root / "data/atomic")
    (root / "var/lib/containers/atomic").symlink_to("/data/atomic")
    assert require(fd, PATHS, ETCD).record == record()


def test_drift_names_what_is_not_as_it_was(root: Path, fd: int) -> None:
    files = {"/usr/local/bin/tool": "0", "/etc/gone": "0", "/etc/hostname": "1" * 64}
    path = deploy(root, "etcd", info=record(host_files=files).to_json())
    (root / "usr/local/bin").mkdir(parents=True)
    (root / "usr/local/bin/tool").symlink_to("/etc")
    unit, tmpfiles = root / "etc/systemd/system/etcd.service", root / "etc/tmpfiles.d/etcd.conf"
    for there, own in ((unit, "etcd.service"), (tmpfiles, "tmpfiles-etcd.conf")):
        there.write_text("same")
        (path / own).write_text("same")
    found = require(fd, PATHS, ETCD)
    assert drift(found, fd, PATHS) == ("/etc/gone", "/etc/hostname")
    unit.write_text("changed")
    tmpfiles.unlink()
    (root / "usr/local/bin/tool").unlink()
    (root / "usr/local/bin").rmdir()
    assert set(drift(found, fd, PATHS)) == {
        "/etc/systemd/system/etcd.service", "/etc/tmpfiles.d/etcd.conf", *files,
    }  # fmt: skip
