# SPDX-License-Identifier: LGPL-2.1-or-later
"""`atomic mount` with the real kernel, each test in a mount namespace of its own."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import images, layers
from tests.support.layers import listing

pytestmark = pytest.mark.conformance
CHECKOUTS = "root/var/lib/containers/atomic"
CONTENT = [
    layers.directory("etc", mode=0o750, gid=42),
    layers.file("etc/conf", b"image\n"),
    layers.file("bin/id", b"#!/bin/sh\necho ran\n", mode=0o4755),
]


class Namespace:
    """A shell's mount namespace: commands in it see its mounts, and others do not."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        # "waits" is alive as long as its stdin is open, and holds the namespace
        self._holder = subprocess.Popen(
            ["unshare", "--mount", "cat"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL
        )
        self._await_namespace()

    def _await_namespace(self) -> None:
        own = os.readlink("/proc/self/ns/mnt")
        while os.readlink(f"/proc/{self._holder.pid}/ns/mnt") == own:
            assert self._holder.poll() is None

    def run(self, *argv: str | Path, status: int = 0) -> tuple[str, str]:
        """Run a command in it; its stdout and stderr."""
        done = subprocess.run(
            ["nsenter", "--mount", "--target", str(self._holder.pid), "--", *argv],
            capture_output=True, text=True, check=False, cwd=Path(__file__).parents[2],
        )  # fmt: skip
        assert done.returncode == status, done.stdout + done.stderr
        return done.stdout, done.stderr

    def atomic(self, *argv: str | Path, status: int = 0) -> tuple[str, str]:
        source = Path(__file__).parents[2]
        command = ("env", f"PYTHONPATH={source}", sys.executable, "-m", "atomic_sys")
        return self.run(*command, "--root", self.directory / "root", *argv, status=status)

    def options(self, target: Path) -> str:
        """What findmnt(8) says of the top mount at a directory."""
        shown, _ = self.run("findmnt", "--json", "-o", "TARGET,SOURCE,FSTYPE,OPTIONS", target)
        return str(json.loads(shown)["filesystems"][-1])

    def close(self) -> None:
        assert self._holder.stdin is not None
        self._holder.stdin.close()
        self._holder.wait()


@pytest.fixture
def world(tmp_path: Path) -> Iterator[Namespace]:
    """A root with the image `hello` and its container `service`, and an empty directory `at`."""
    namespace = Namespace(tmp_path)
    try:
        (tmp_path / "root/etc/containers").mkdir(parents=True)
        policy = {"default": [{"type": "insecureAcceptAnything"}]}
        (tmp_path / "root/etc/containers/policy.json").write_text(json.dumps(policy))
        layout = images.layout(tmp_path / "hello", CONTENT)
        namespace.atomic("pull", f"oci:{layout}:latest")
        deployment = tmp_path / CHECKOUTS / "service.0"
        (deployment / "rootfs").mkdir(parents=True)
        (deployment / "rootfs/own").write_text("deployed\n")
        (deployment / "info").write_text(json.dumps({"image": "hello"}))
        (tmp_path / CHECKOUTS / "service").symlink_to("service.0")
        (tmp_path / "at").mkdir()
        yield namespace
    finally:
        namespace.close()


def left(tmp_path: Path) -> list[str]:
    """The directories of mounts that there are."""
    mounts = tmp_path / CHECKOUTS / ".storage/mounts"
    return sorted(set(os.listdir(mounts)) - {".lock"}) if mounts.exists() else []


def objects(tmp_path: Path) -> dict[str, tuple[object, ...]]:
    return listing(tmp_path / CHECKOUTS / ".storage/ostree/objects")


def test_an_image_is_read_only(tmp_path: Path, world: Namespace) -> None:
    at = tmp_path / "at"
    assert world.atomic("mount", "hello", at) == ("", "")
    assert os.listdir(at) == [], "mounted in the namespace only"
    assert world.run("cat", at / "etc/conf")[0] == "image\n"
    assert world.run("stat", "-c", "%a %g", at / "etc")[0] == "750 42\n"
    for command in (
        ("touch", at / "new"),
        ("chmod", "0", at / "etc/conf"),
        ("rm", at / "etc/conf"),
    ):
        assert "Read-only file system" in world.run(*command, status=1)[1]
    options = world.options(at)
    assert all(word in options for word in ("ro", "nosuid", "nodev"))
    assert world.run(at / "bin/id")[0] == "ran\n"
    world.atomic("unmount", at)
    assert world.run("ls", "-A", at) == ("", "")
    assert left(tmp_path) == []


def test_what_is_written_is_lost_and_reaches_no_object(tmp_path: Path, world: Namespace) -> None:
    at, before = tmp_path / "at", objects(tmp_path)
    world.atomic("mount", "-o", "rw,noexec", "hello", at)
    assert world.run("stat", "-c", "%a", at)[0] == "755\n"
    world.run("sh", "-c", f"echo changed >> {at}/etc/conf; rm {at}/bin/id; mkdir {at}/new")
    assert world.run("cat", at / "etc/conf")[0] == "image\nchanged\n"
    options = world.options(at)
    assert all(word in options for word in ("overlay", "atomic:", "rw", "nosuid", "noexec"))
    world.atomic("unmount", at)
    assert left(tmp_path) == []
    assert objects(tmp_path).keys() == before.keys()
    contents = {name: seen[3] for name, seen in before.items()}
    assert {name: seen[3] for name, seen in objects(tmp_path).items()} == contents
    subprocess.run(
        ["ostree", "fsck", f"--repo={tmp_path / CHECKOUTS}/.storage/ostree"],
        check=True, capture_output=True,
    )  # fmt: skip


@pytest.mark.parametrize("options", [[], ["-o", "rw"]])
def test_a_container(tmp_path: Path, world: Namespace, options: list[str]) -> None:
    at = tmp_path / "at"
    world.atomic("mount", *options, "service", at)
    assert world.run("cat", at / "own")[0] == "deployed\n"
    world.run("sh", "-c", f"echo x > {at}/own", status=0 if options else 2)
    assert (tmp_path / CHECKOUTS / "service.0/rootfs/own").read_text() == "deployed\n"
    world.atomic("unmount", at)
    assert world.run("ls", "-A", at)[0] == ""
    assert left(tmp_path) == []
    assert (tmp_path / CHECKOUTS / "service.0/rootfs/own").read_text() == "deployed\n"


def test_a_container_that_is_gone_can_be_unmounted(tmp_path: Path, world: Namespace) -> None:
    at = tmp_path / "at"
    world.atomic("mount", "service", at)
    world.run("rm", "-r", tmp_path / CHECKOUTS / "service.0", tmp_path / CHECKOUTS / "service")
    world.atomic("images", "prune")
    world.atomic("unmount", at)
    assert left(tmp_path) == []


def test_prune_leaves_a_mounted_image_alone(tmp_path: Path, world: Namespace) -> None:
    at = tmp_path / "at"
    world.atomic("mount", "hello", at)
    world.atomic("images", "delete", "hello")
    outside = Namespace(tmp_path)  # where the mount is not seen
    try:
        outside.atomic("images", "prune")
    finally:
        outside.close()
    assert world.run("cat", at / "etc/conf")[0] == "image\n"
    world.atomic("unmount", at)
    assert left(tmp_path) == []


def test_what_a_crash_left_is_removed(tmp_path: Path, world: Namespace) -> None:
    at = tmp_path / "at"
    for collect in (("mount", "hello", at), ("images", "prune")):
        world.atomic("mount", "-o", "rw", "hello", at)
        (tmp_path / CHECKOUTS / ".storage/mounts/halfdone/rootfs").mkdir(parents=True)
        (tmp_path / CHECKOUTS / ".storage/mounts/halfdone/mount.json").write_text("{")
        world.run("umount", at)
        stale = left(tmp_path)
        assert len(stale) == 2
        world.atomic(*collect)
        assert not set(left(tmp_path)) & set(stale)
        if collect[0] == "mount":
            world.atomic("unmount", at)
    assert left(tmp_path) == []


def test_what_is_not_ours_is_not_unmounted(tmp_path: Path, world: Namespace) -> None:
    at = tmp_path / "at"
    assert "is not mounted" in world.atomic("unmount", at, status=1)[1]
    world.run("mount", "-t", "tmpfs", "tmpfs", at)
    assert "is no mount of atomic" in world.atomic("unmount", at, status=1)[1]
    world.run("umount", at)
    world.atomic("mount", "hello", at)
    world.run("mount", "-t", "tmpfs", "tmpfs", at)  # on top of ours
    assert "is no mount of atomic" in world.atomic("unmount", at, status=1)[1]
    world.run("umount", at)
    other = tmp_path / "other"
    other.mkdir()
    world.run("mount", "--bind", at, other)
    assert "is no mount of atomic" in world.atomic("unmount", other, status=1)[1]
    world.atomic("unmount", at)
    assert world.run("cat", other / "etc/conf")[0] == "image\n", "still shown, so still there"
    world.run("umount", other)
    world.atomic("images", "prune")
    assert left(tmp_path) == []
    assert "No such file" in world.atomic("unmount", tmp_path / "nowhere", status=1)[1]


def test_what_is_in_use_is_not_unmounted(tmp_path: Path, world: Namespace) -> None:
    at = tmp_path / "at"
    world.atomic("mount", "hello", at)
    script = f"cd {at} && python3 -m atomic_sys --root {tmp_path}/root unmount {at}"
    source = f"PYTHONPATH={Path(__file__).parents[2]}"
    _, err = world.run("env", source, "sh", "-c", script, status=1)
    assert "is in use" in err
    assert world.run("cat", at / "etc/conf")[0] == "image\n"
    world.atomic("unmount", at)


def test_several_at_once(tmp_path: Path, world: Namespace) -> None:
    places = [tmp_path / f"at {number}" for number in range(3)]
    for place, what in zip(places, ("hello", "service", "service"), strict=True):
        place.mkdir()
        world.atomic("mount", what, place)
    (tmp_path / "link").symlink_to(places[1])
    world.atomic("unmount", tmp_path / "link")
    assert world.run("cat", places[2] / "own")[0] == "deployed\n"
    for place in (places[0], places[2]):
        world.atomic("unmount", place)
    assert left(tmp_path) == []


def test_where_nothing_can_be_mounted(tmp_path: Path, world: Namespace) -> None:
    at = tmp_path / "at"
    assert "not empty" in world.atomic("mount", "hello", tmp_path, status=1)[1]
    world.atomic("mount", "hello", tmp_path / "nowhere", status=1)
    world.atomic("mount", "hello", tmp_path / CHECKOUTS / "service.0/info", status=1)
    assert "Unable to find" in world.atomic("mount", "nothing", at, status=4)[1]
    for path in (tmp_path / CHECKOUTS / ".storage/ostree/objects").rglob("*.file"):
        path.unlink()
    world.atomic("mount", "hello", at, status=5)
    assert left(tmp_path) == []
    assert os.listdir(at) == []
