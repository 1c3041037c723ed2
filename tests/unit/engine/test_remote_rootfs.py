# SPDX-License-Identifier: LGPL-2.1-or-later
"""Where a root file system elsewhere is, what a runtime would make in it, and who runs from it."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from atomic_sys.engine.observe import find, rootfs_path
from atomic_sys.engine.remote_rootfs import OtherFiles, RemoteFiles, RemoteRootfs, users_of
from atomic_sys.errors import AtomicSysError, ExitCode
from atomic_sys.model.layer import Metadata
from atomic_sys.model.names import ContainerName
from atomic_sys.paths import Paths
from atomic_sys.store.repository import Mode, Repository
from atomic_sys.store.store import Store
from atomic_sys.store.tree import Directory, Node
from atomic_sys.store.view import Tree
from tests.unit.engine.hosts import deploy, make_root, record

CHECKOUTS = "/var/lib/containers/atomic"
OWN = Metadata(os.getuid(), os.getgid(), 0o755)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return make_root(tmp_path)


@pytest.fixture
def files(root: Path) -> Iterator[RemoteFiles]:
    fd = os.open(root, os.O_RDONLY)
    store = Store(Repository.create(fd, "repo", Mode.BARE_USER), timeout=0)
    yield RemoteFiles(root=fd, store=store)
    store.close()
    os.close(fd)


def tree(files: RemoteFiles, names: Mapping[str, Node]) -> Tree:
    return Tree(files.store.repository, Directory(OWN, dict(names)), "")


def plain(files: RemoteFiles, *names: str) -> Tree:
    """A tree of empty directories."""
    return tree(files, {name: Directory(OWN) for name in names})


def make(root: Path, *paths: str) -> None:
    for path in paths:
        (root / path).mkdir(parents=True)
        (root / path).chmod(0o755)


@pytest.mark.parametrize(
    ("there", "asked", "found"),
    [
        ("srv/x/usr", "/srv/x", "/srv/x"),
        ("srv/x/rootfs/usr", "/srv/x", "/srv/x/rootfs"),
        ("srv/x/rootfs/usr", "/srv/x/rootfs", "/srv/x/rootfs"),
        ("srv/x/else", "/srv/x", "/srv/x"),  # what is wrong with it is found by comparing
        ("srv/x/usr", "/srv/../srv//x/", "/srv/x"),
    ],
)
def test_where_it_is(there: str, asked: str, found: str, root: Path, files: RemoteFiles) -> None:
    make(root, there)
    assert files.locate(asked, plain(files, "usr")) == RemoteRootfs(asked=asked, path=found)


def test_a_directory_of_the_image_called_rootfs_is_not_the_one(
    root: Path, files: RemoteFiles
) -> None:
    make(root, "srv/x/usr", "srv/x/rootfs")
    assert files.locate("/srv/x", plain(files, "usr", "rootfs")).path == "/srv/x"


def test_links_are_resolved_inside_the_root(root: Path, files: RemoteFiles) -> None:
    make(root, "srv/one/usr", "srv/two")
    (root / "srv/current").symlink_to("/srv/one")
    (root / "srv/two/rootfs").symlink_to("../one")
    (root / "srv/out").symlink_to("../../../../srv/one")
    for asked in ("/srv/current", "/srv/two", "/srv/out"):
        assert files.locate(asked, plain(files, "usr")).path == "/srv/one"


@pytest.mark.parametrize("asked", ["/nowhere", "/etc/hostname", "/etc/hostname/x"])
def test_no_directory(asked: str, files: RemoteFiles) -> None:
    with pytest.raises(AtomicSysError, match="the remote rootfs does not exist"):
        files.locate(asked, plain(files, "usr"))


def test_what_differs_is_damage(root: Path, files: RemoteFiles) -> None:
    make(root, "srv/x/usr", "srv/x/dev")
    remote = RemoteRootfs(asked="/srv/x", path="/srv/x")
    config = b'{"mounts": [{"destination": "/dev", "type": "tmpfs"}]}'
    files.require_same(remote, "hello", plain(files, "usr", "dev"), config)
    with pytest.raises(OtherFiles, match="root file system of hello: missing /etc") as caught:
        files.require_same(remote, "hello", plain(files, "usr", "dev", "etc"), config)
    assert caught.value.exit_code is ExitCode.DAMAGED
    files.require_same(remote, "hello", plain(files, "usr"), config)  # a runtime made /dev


@pytest.mark.parametrize(
    ("mounts", "said"),
    [
        ('{"destination": "/dev", "type": "tmpfs"}', ""),
        ('{"destination": "/usr", "type": "tmpfs"}', "/dev/null"),
        ('{"destination": "/dev"}, {"destination": "/data"}', "/data"),
        ('{"destination": "/dev"}, {"destination": "/dev/pts"}', ""),  # in the one before
    ],
)
def test_what_a_runtime_will_make(
    mounts: str, said: str, root: Path, files: RemoteFiles, capsys: pytest.CaptureFixture[str]
) -> None:
    make(root, "srv/x/usr", "srv/x/dev")
    remote = RemoteRootfs(asked="/srv/x", path="/srv/x")
    config = f'{{"mounts": [{mounts}]}}'.encode()
    files.require_same(remote, "hello", plain(files, "usr", "dev"), config)
    talk = capsys.readouterr().err
    assert ("the runtime will make" in talk) == bool(said)
    assert f"{said} in /srv/x" in talk or not said


def test_who_runs_from_a_deployment(root: Path, files: RemoteFiles) -> None:
    make(root, "srv/x")
    deploy(root, "etcd")
    (root / CHECKOUTS[1:] / "etcd.0/rootfs").mkdir()
    for name, target in (("a", f"{CHECKOUTS}/etcd.0/rootfs"), ("b", "/srv/x")):
        path = deploy(root, name, info=record(remote=target).to_json())
        (path / "rootfs").symlink_to(target)
    users = [users_of(f"{CHECKOUTS}/{name}.0", files.root, Paths()) for name in ("etcd", "a", "no")]
    assert users == [("a",), (), ()]


def test_the_files_of_a_deployment(root: Path, files: RemoteFiles) -> None:
    path = deploy(root, "etcd")
    found = find(files.root, Paths(), ContainerName.parse("etcd"))
    assert found is not None
    assert rootfs_path(files.root, found) == f"{CHECKOUTS}/etcd.0/rootfs"
    (path / "rootfs").symlink_to("/srv/x")
    assert rootfs_path(files.root, found) == "/srv/x"
