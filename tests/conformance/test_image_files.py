# SPDX-License-Identifier: LGPL-2.1-or-later
"""`images diff` and `checkout` against `ostree diff` and `ostree checkout`, on the same store."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from atomic_sys.__main__ import run
from tests.support import images, layers
from tests.support.layers import listing

pytestmark = pytest.mark.conformance
STORE = "var/lib/containers/atomic/.storage/ostree"
OLD = [
    layers.directory("etc", mode=0o2750, gid=42),
    layers.file("etc/same", b"same", uid=3),
    layers.file("etc/owner", b"1", uid=1),
    layers.file("etc/content", b"1"),
    layers.file("etc/mode", b"1", mode=0o644),
    layers.symlink("etc/link", "same"),
    layers.file("gone/deep/file", b"1"),
    layers.directory("kept", mode=0o755),
    layers.file("bin/tool", b"#!" * 5000, mode=0o4755),
    layers.file("empty"),
]
NEW = [
    layers.directory("etc", mode=0o2750, gid=42),
    layers.file("etc/same", b"same", uid=3),
    layers.file("etc/owner", b"1", uid=2),
    layers.file("etc/content", b"2"),
    layers.file("etc/mode", b"1", mode=0o600),
    layers.symlink("etc/link", "other"),
    layers.directory("kept", mode=0o700),
    layers.file("added/deep/file", b"1"),
    layers.file("bin/tool", b"#!" * 5000, mode=0o4755),
    layers.file("empty"),
]


def ostree(*argv: str | Path) -> str:
    done = subprocess.run(["ostree", *argv], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A root with the images `old` and `new`."""
    directory = tmp_path_factory.mktemp("files")
    root = directory / "root"
    (root / "etc/containers").mkdir(parents=True)
    policy = {"default": [{"type": "insecureAcceptAnything"}]}
    (root / "etc/containers/policy.json").write_text(json.dumps(policy))
    for name, content in (("old", OLD), ("new", NEW)):
        layout = images.layout(directory / name, content)
        assert run(["--root", str(root), "pull", f"oci:{layout}:latest"]) == 0
    yield directory


def rootfs_ref(world: Path, name: str) -> str:
    """The ref of the merged tree of an image."""
    metadata = "--print-metadata-key=docker.digest"
    shown = ostree("show", f"--repo={world}/root/{STORE}", metadata, f"ociimage/{name}_3Alatest")
    return f"ocirootfs/{shown.strip().strip(chr(39)).removeprefix('sha256:')}"


def test_diff(world: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """ostree tells no parents of what changed, and of a new directory its own path only."""
    old, new = rootfs_ref(world, "old"), rootfs_ref(world, "new")
    theirs = {
        tuple(line.split(maxsplit=1))
        for line in ostree("diff", f"--repo={world}/root/{STORE}", old, new).splitlines()
    }
    capsys.readouterr()
    assert run(["--root", f"{world}/root", "images", "diff", "old", "new"]) == 0
    ours = {tuple(line.split(maxsplit=1)) for line in capsys.readouterr().out.splitlines()}
    renamed = {(kind.replace("M", "C"), path) for kind, path in theirs}
    assert renamed <= ours
    for kind, path in ours - renamed:
        below = {other for which, other in renamed if other.startswith(f"{path}/")}
        above = {which for which, other in renamed if path.startswith(f"{other}/")}
        assert (kind == "C" and below) or kind in above, (kind, path)


@pytest.mark.parametrize("options", [[], ["--copy"]], ids=["links", "copies"])
@pytest.mark.parametrize("name", ["old", "new"])
def test_checkout(world: Path, tmp_path: Path, options: list[str], name: str) -> None:
    ostree("checkout", f"--repo={world}/root/{STORE}", rootfs_ref(world, name), tmp_path / "theirs")
    ours = tmp_path / "ours"
    assert run(["--root", f"{world}/root", "images", "checkout", *options, name, str(ours)]) == 0
    assert listing(ours) == listing(tmp_path / "theirs")
    mtimes = {item.lstat().st_mtime for item in ours.rglob("*") if not item.is_symlink()}
    assert mtimes == {0.0}
    ostree("fsck", f"--repo={world}/root/{STORE}")


def test_copies_are_no_part_of_the_store(world: Path, tmp_path: Path) -> None:
    argv = ["--root", f"{world}/root", "images", "checkout", "--copy", "old", f"{tmp_path}/out"]
    assert run(argv) == 0
    for item in (tmp_path / "out").rglob("*"):
        if item.is_file() and not item.is_symlink():
            with item.open("ab") as stream:
                stream.write(b"changed in place")
    ostree("fsck", f"--repo={world}/root/{STORE}")


@pytest.mark.parametrize("options", [[], ["--copy"]], ids=["links", "copies"])
def test_checkout_on_another_file_system(world: Path, tmp_path: Path, options: list[str]) -> None:
    (tmp_path / "other").mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", tmp_path / "other"], check=True)
    try:
        out = tmp_path / "other/out"
        argv = ["--root", f"{world}/root", "images", "checkout", *options, "old", str(out)]
        assert run(argv) == 0
        ostree(
            "checkout", f"--repo={world}/root/{STORE}", rootfs_ref(world, "old"),
            tmp_path / "theirs",
        )  # fmt: skip
        assert listing(out) == listing(tmp_path / "theirs")
    finally:
        subprocess.run(["umount", tmp_path / "other"], check=True)
