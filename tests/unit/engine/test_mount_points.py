# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a runtime would make in a root file system, found and made before it is read-only."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from atomic_sys.engine import live, mount_points
from atomic_sys.engine.mount_points import Target, may_be_added, places, targets
from atomic_sys.engine.protection import obstacle

DEV = {"destination": "/dev", "type": "tmpfs", "source": "tmpfs"}


def config(*mounts: object, **more: object) -> bytes:
    """A config.json with these mounts upon /dev."""
    plain: dict[str, object] = {
        "root": {"path": "rootfs", "readonly": True},
        "mounts": [DEV, *mounts],
    }
    return json.dumps(plain | more).encode()


def bind(source: str, destination: str) -> dict[str, object]:
    return {"source": source, "destination": destination, "options": ["rbind", "ro"]}


@pytest.fixture
def rootfs(tmp_path: Path) -> Iterator[int]:
    for path in ("dev", "etc", "var", "run"):
        (tmp_path / "rootfs" / path).mkdir(parents=True)
    (tmp_path / "rootfs/var/run").symlink_to("/run")
    (tmp_path / "rootfs/dangling").symlink_to("/nowhere")
    (tmp_path / "rootfs/loop").symlink_to("loop")
    (tmp_path / "file").write_bytes(b"")
    fd = os.open(tmp_path / "rootfs", os.O_RDONLY)
    yield fd
    os.close(fd)


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        (b"", ()),
        (b"[]", ()),
        (b'{"mounts": {}, "process": 1}', ()),
        (b'{"mounts": [1, {"destination": 2}], "process": {"cwd": 3}}', ()),
        (config(), (Target(path=("dev",), source=None),)),
        (
            config(bind("/a", "/x/../../y//z/."), process={"cwd": "/data"}),
            (
                Target(path=("dev",), source=None),
                Target(path=("y", "z"), source="/a"),
                Target(path=("data",), source=None),
            ),
        ),
        (
            config({"type": "bind", "source": "rel", "destination": "r"}),
            (Target(path=("dev",), source=None), Target(path=("r",), source="rel")),
        ),
    ],
)
def test_targets(document: bytes, expected: tuple[Target, ...]) -> None:
    assert targets(document) == expected


def test_links_are_resolved_inside_and_mounts_hide_what_is_in_them(rootfs: int) -> None:
    document = config(
        {"destination": "/dev/pts", "type": "devpts"},
        bind("/s", "/var/run/docker.sock"),
        {"destination": "/run", "type": "tmpfs"},
        bind("/s", "/var/run/late"),
        process={"cwd": "/var/lib/x"},
    )
    found = {place.path: place.above for place in places(rootfs, targets(document))}
    assert found == {
        ("dev",): ("dev",),
        ("run", "docker.sock"): ("run",),
        ("run",): ("run",),
        ("var", "lib", "x"): ("var",),
    }
    assert may_be_added(rootfs, document) == {
        ("dev",), ("run",), ("run", "docker.sock"), ("var",), ("var", "lib"), ("var", "lib", "x"),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("destination", "source", "made"),
    [
        ("/etc/deep/dir", "/proc", "directory"),
        ("/etc/hosts", "../file", None),
        ("/etc/hosts", "file", "file"),
        ("/new/hosts", "/proc/version", "file"),
        ("/etc/socket", "/not/there/yet", None),
        ("/dangling/x", "/proc", None),
        ("/dangling", "/proc", None),
        ("/loop", "/proc", None),
        ("/../../outside", "/proc", "directory"),
    ],
)
def test_making(
    rootfs: int, tmp_path: Path, destination: str, source: str, made: str | None
) -> None:
    (_, place) = places(rootfs, targets(config(bind(source, destination))))
    before = set(tmp_path.iterdir())
    assert mount_points.make(rootfs, place, str(tmp_path)) is (made is not None)
    path = tmp_path / "rootfs" / "/".join(place.path)
    assert path.is_dir() is (made == "directory")
    assert path.is_file() is (made == "file")
    assert set(tmp_path.iterdir()) == before
    if made:
        (_, again) = places(rootfs, targets(config(bind(source, destination))))
        assert again.made
        assert mount_points.make(rootfs, again, str(tmp_path))


@pytest.mark.parametrize(
    ("document", "why"),
    [
        (config(), None),
        (config(hooks={}), None),
        (b"", "cannot be read"),
        (config(hooks={"prestart": [{"path": "/x"}]}), "hooks"),
        (config(root={"path": "rootfs"}), "not read-only"),
        (config(mounts=[]), "no /dev"),
    ],
)
def test_what_speaks_against_it(document: bytes, why: str | None) -> None:
    reason = obstacle(document)
    assert (reason is None) is (why is None)
    assert why is None or why in str(reason)


def test_a_protected_deployment_is_not_in_use(tmp_path: Path) -> None:
    lines = {
        "1": "36 35 8:1 /lib/atomic/a.0/rootfs /var/lib/atomic/a.0/rootfs ro - ext4 /dev/x rw\n",
        "2": "36 35 8:1 /lib/atomic/b.0/rootfs / ro - ext4 /dev/x rw\n",
        "4": "36 35 8:1 /d.0 /host/var/lib/atomic/d.0 rw - ext4 /dev/x rw\n",
        "5": "36 35 8:1 /e.0 /var/lib/atomic/f.0 rw - ext4 /dev/x rw\n",
        "3": "36 35 8:1 /lib/atomic/c.0/rootfs/etc /mnt/rootfs/etc ro - ext4 /dev/x rw\n",
    }
    for number, line in lines.items():
        (tmp_path / number / "ns").mkdir(parents=True)
        (tmp_path / number / "ns/mnt").write_text("")
        (tmp_path / number / "mountinfo").write_text(line)
    roots = live.mounted_roots(str(tmp_path))
    names = ("a.0", "b.0", "c.0", "d.0", "e.0")
    assert [live.in_use(name, roots) for name in names] == [False, True, True, False, True]
