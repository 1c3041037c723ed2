# SPDX-License-Identifier: LGPL-2.1-or-later
"""Pulls of several layers by the real command, each layer in a process of its own."""

import gzip
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from atomic_sys.model.digest import Digest
from tests.support import layers
from tests.support.fake_registry import FakeRegistry, Reply
from tests.support.layers import Member, directory, file

pytestmark = pytest.mark.conformance
SMALL_FILES = 400  # of a layer
LARGE = 9 << 20  # bytes of one file, which packs well


def contents(number: int) -> list[Member]:
    """A layer with files of every size, one of them in all layers."""
    return [
        directory(f"d{number}", mode=0o750, uid=3),
        *(file(f"d{number}/f{n}", f"{number} {n}".encode() * n) for n in range(SMALL_FILES)),
        file(f"d{number}/large", bytes([number]) * LARGE, mode=0o4755, uid=7, gid=8),
        file(f"d{number}/common", b"the same in all", mode=0o600),
        file(f"d{number}/empty"),
    ]


def write_image(path: Path, broken: int | None = None, count: int = 3) -> Path:
    """A layout with an image of packed layers; the config may be wrong about one of them."""
    archives = [layers.archive(contents(number)) for number in range(count)]
    packed = [gzip.compress(archive, mtime=0) for archive in archives]
    diff_ids = [str(Digest.of(b"" if n == broken else a)) for n, a in enumerate(archives)]
    config = {"architecture": "amd64", "os": "linux"}
    raw = json.dumps(config | {"rootfs": {"type": "layers", "diff_ids": diff_ids}}).encode()
    blobs = path / "blobs/sha256"
    blobs.mkdir(parents=True)

    def store(content: bytes, media_type: str) -> dict[str, object]:
        digest = Digest.of(content)
        (blobs / digest.hex).write_bytes(content)
        return {"mediaType": media_type, "digest": str(digest), "size": len(content)}

    vendor = "application/vnd.oci.image"
    manifest = {
        "schemaVersion": 2,
        "mediaType": f"{vendor}.manifest.v1+json",
        "config": store(raw, f"{vendor}.config.v1+json"),
        "layers": [store(layer, f"{vendor}.layer.v1.tar+gzip") for layer in packed],
    }
    described = store(json.dumps(manifest).encode(), f"{vendor}.manifest.v1+json")
    described["annotations"] = {"org.opencontainers.image.ref.name": "latest"}
    (path / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [described]}))
    (path / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
    return path


def command(root: Path, *arguments: str) -> Sequence[str]:
    policy = root / "policy.json"
    policy.write_text('{"default": [{"type": "insecureAcceptAnything"}]}')
    atomic = [sys.executable, "-m", "atomic_sys", "--root", str(root), "--policy", str(policy)]
    return [*atomic, *arguments]


def atomic(root: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    argv = command(root, *arguments)
    return subprocess.run(argv, capture_output=True, text=True, check=False, timeout=120)


def repository(root: Path) -> Path:
    return root / "var/lib/containers/atomic/.storage/ostree"


def check_store(root: Path) -> list[str]:
    """Judged by ostree; gives its refs."""
    repo = f"--repo={repository(root)}"
    subprocess.run(["ostree", "fsck", "-q", repo], check=True, timeout=60)
    refs = subprocess.run(
        ["ostree", "refs", repo], check=True, timeout=60, capture_output=True, text=True
    )
    return refs.stdout.split()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system that two of the layers fill."""
    mounted = tmp_path / "disk"
    mounted.mkdir()
    argv = ["mount", "-t", "tmpfs", "-o", f"size={2 * LARGE + (8 << 20)}", "none", str(mounted)]
    subprocess.run(argv, check=True, timeout=60)
    try:
        yield mounted
    finally:
        subprocess.run(["umount", str(mounted)], check=True, timeout=60)


def test_all_layers_arrive_and_ostree_agrees(tmp_path: Path) -> None:
    layout = write_image(tmp_path / "layout")
    done = atomic(tmp_path, "pull", f"oci:{layout}")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("Pulling layer") == 3
    refs = check_store(tmp_path)
    (rootfs,) = [ref for ref in refs if ref.startswith("ocirootfs/")]
    out = tmp_path / "out"
    argv = ["ostree", "checkout", "-H", f"--repo={repository(tmp_path)}", rootfs, str(out)]
    subprocess.run(argv, check=True, timeout=60)
    for number in range(3):
        for info, content in contents(number):
            path = out / info.name
            assert (path.stat().st_uid, path.stat().st_mode & 0o7777) == (info.uid, info.mode)
            assert not path.is_file() or path.read_bytes() == content
    assert {path.stat().st_mtime for path in repository(tmp_path).rglob("objects/*/*.file")} == {0}
    assert os.listdir(repository(tmp_path) / "state") == []


def test_six_layers_are_on_their_way_at_once(tmp_path: Path) -> None:
    """Nobody gets a byte before six are there, and a seventh comes only when one has gone."""
    layout = write_image(tmp_path / "layout", count=8)
    (described,) = json.loads((layout / "index.json").read_text())["manifests"]
    blobs = {path.name: path.read_bytes() for path in (layout / "blobs/sha256").iterdir()}
    raw = blobs[described["digest"].removeprefix("sha256:")]
    wanted = [layer["digest"] for layer in json.loads(raw)["layers"]]
    arrived = threading.Semaphore(0)

    def answer(body: bytes) -> Callable[[Mapping[str, str]], Reply]:
        def reply(_headers: Mapping[str, str]) -> Reply:
            arrived.release()
            return Reply(body=body) if gate.wait(60) else Reply(status=500)

        return reply

    gate = threading.Event()
    with FakeRegistry() as registry:
        registry.replies["/v2/"] = Reply()
        registry.replies["/v2/eight/manifests/latest"] = Reply(
            body=raw, headers={"Content-Type": described["mediaType"]}
        )
        for name, content in blobs.items():
            path = f"/v2/eight/blobs/sha256:{name}"
            layer = f"sha256:{name}" in wanted
            registry.replies[path] = answer(content) if layer else Reply(body=content)
        argv = command(tmp_path, "pull", f"http:{registry.host}/eight:latest")
        with subprocess.Popen(argv, stdout=subprocess.DEVNULL) as process:
            assert all(arrived.acquire(timeout=60) for _ in range(6))
            assert not arrived.acquire(timeout=0.5)
            gate.set()
            assert process.wait(timeout=120) == 0
    check_store(tmp_path)


@pytest.mark.parametrize("broken", range(3))
def test_one_broken_layer_is_one_error(tmp_path: Path, broken: int) -> None:
    layout = write_image(tmp_path / "layout", broken=broken)
    done = atomic(tmp_path, "pull", f"oci:{layout}")
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("atomic: pulling oci:")
    assert "the layer is not the one with the diff id" in line
    assert not [ref for ref in check_store(tmp_path) if ref.startswith("ocirootfs/")]
    good = write_image(tmp_path / "good")
    assert atomic(tmp_path, "pull", f"oci:{good}").returncode == 0
    check_store(tmp_path)
    assert os.listdir(repository(tmp_path) / "state") == []


def test_a_full_disk_is_one_error_and_nothing_stays(tmp_path: Path, small_disk: Path) -> None:
    layout = write_image(tmp_path / "layout")
    done = atomic(small_disk, "pull", f"oci:{layout}")
    assert done.returncode == 1
    error, hint = done.stderr.splitlines()
    assert "the store's file system is full" in error
    assert "atomic images prune" in hint
    refs = check_store(small_disk)
    kept = sum(path.stat().st_blocks for path in repository(small_disk).rglob("objects/*/*")) * 512
    assert kept <= len(refs) * (LARGE + (4 << 20))  # what is left belongs to layers that are whole


def test_what_cannot_fit_is_refused_before_anything_is_fetched(
    tmp_path: Path, small_disk: Path
) -> None:
    layout = write_image(tmp_path / "layout")
    size = os.statvfs(small_disk).f_bfree * os.statvfs(small_disk).f_frsize
    (small_disk / "filler").write_bytes(bytes(size - (16 << 10)))
    (small_disk / "policy.json").touch()
    done = atomic(small_disk, "pull", f"oci:{layout}")
    assert done.returncode == 1
    assert "bytes are free" in done.stderr
    assert list(repository(small_disk).rglob("objects/*/*")) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_signal_ends_all_and_the_next_pull_succeeds(
    tmp_path: Path, number: signal.Signals
) -> None:
    layout = write_image(tmp_path / "layout")
    argv = command(tmp_path, "pull", f"oci:{layout}")
    objects = repository(tmp_path) / "objects"
    with subprocess.Popen(argv, stdout=subprocess.PIPE, start_new_session=True) as process:
        deadline = time.monotonic() + 60
        while len(list(objects.rglob("*.file"))) < 20 and time.monotonic() < deadline:
            time.sleep(0.001)
        process.send_signal(number)
        code = process.wait(timeout=60)
    assert code in (130, -signal.SIGKILL)
    deadline = time.monotonic() + 60
    while _alive(process.pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not _alive(process.pid)
    check_store(tmp_path)
    assert atomic(tmp_path, "pull", f"oci:{layout}").returncode == 0
    check_store(tmp_path)
    assert os.listdir(repository(tmp_path) / "state") == []


def _alive(session: int) -> bool:
    """Whether a process of the session is left."""
    try:
        os.killpg(session, 0)
    except ProcessLookupError:
        return False
    return True
