# SPDX-License-Identifier: LGPL-2.1-or-later
"""What `images save` writes, with skopeo, GNU tar, podman and ostree as judges."""

import gzip
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from atomic_sys.image.docker_daemon import DockerDaemonOrigin
from atomic_sys.image.docker_engine import DockerEngine, socket_path
from atomic_sys.model.reference import DockerReference
from atomic_sys.model.source import DockerDaemonSource
from tests.support.layers import archive, directory, file, hard_link, symlink

pytestmark = pytest.mark.conformance

NAME = "localhost/saved:1"
LAYERS = (
    archive([directory("etc"), file("a", b"one"), file("b", b"x" * 9999)]),
    archive([file(".wh.a"), hard_link("c", "b"), symlink("d", "c"), file("n" * 150, b"n")]),
)


def run(*argv: str | Path, stdin: bytes | None = None, code: int = 0) -> bytes:
    done = subprocess.run(argv, capture_output=True, input=stdin, check=False)
    assert done.returncode == code, done.stderr.decode() + done.stdout.decode()[:500]
    return done.stdout if code == 0 else done.stderr


def descriptor(kind: str, blob: bytes) -> dict[str, object]:
    return {
        "mediaType": f"application/vnd.oci.image.{kind}",
        "digest": f"sha256:{hashlib.sha256(blob).hexdigest()}",
        "size": len(blob),
    }


def write_layout(path: Path) -> str:
    """An image with gzip layers; the digest of its manifest."""
    blobs = [gzip.compress(layer, mtime=0) for layer in LAYERS]
    diff_ids = [f"sha256:{hashlib.sha256(layer).hexdigest()}" for layer in LAYERS]
    config = json.dumps({
        "architecture": "amd64",
        "os": "linux",
        "config": {"Cmd": ["/c"]},
        "rootfs": {"type": "layers", "diff_ids": diff_ids},
    }).encode()
    manifest = json.dumps({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": descriptor("config.v1+json", config),
        "layers": [descriptor("layer.v1.tar+gzip", blob) for blob in blobs],
    }).encode()
    named = descriptor("manifest.v1+json", manifest)
    named["annotations"] = {"org.opencontainers.image.ref.name": "1"}
    (path / "blobs/sha256").mkdir(parents=True)
    for blob in (config, manifest, *blobs):
        (path / "blobs/sha256" / hashlib.sha256(blob).hexdigest()).write_bytes(blob)
    (path / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
    (path / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [named]}))
    return str(named["digest"])


class Machine:
    """A root directory with a policy, and the command."""

    def __init__(self, top: Path, policy: object) -> None:
        self.root = top / "root"
        self.root.mkdir(parents=True)
        self.policy = top / "policy.json"
        self.policy.write_text(json.dumps(policy))

    def atomic(self, *argv: str | Path, stdin: bytes | None = None, code: int = 0) -> bytes:
        options = ("--root", self.root, "--policy", self.policy)
        return run(sys.executable, "-m", "atomic_sys", *options, *argv, stdin=stdin, code=code)

    def fsck(self) -> None:
        run("ostree", "fsck", f"--repo={self.root}/var/lib/containers/atomic/.storage/ostree")


ACCEPT = {"default": [{"type": "insecureAcceptAnything"}]}


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    write_layout(tmp_path / "saved")
    made = Machine(tmp_path, ACCEPT)
    made.atomic("pull", f"oci:{tmp_path}/saved:1")
    made.atomic("images", "tag", "saved:1", NAME)
    return made


def test_docker_archive(machine: Machine, tmp_path: Path) -> None:
    machine.fsck()
    shutil.rmtree(tmp_path / "saved")  # what is written comes out of the store
    target = tmp_path / "out.tar"
    machine.atomic("images", "save", "-o", target, NAME)
    listing = json.loads(run("tar", "-xOf", target, "manifest.json"))
    assert listing[0]["RepoTags"] == [NAME]
    for name, layer in zip(listing[0]["Layers"], LAYERS, strict=True):
        assert run("tar", "-xOf", target, name) == layer
    config = run("skopeo", "inspect", "--config", "--raw", f"docker-archive:{target}:{NAME}")
    assert listing[0]["Config"] == f"{hashlib.sha256(config).hexdigest()}.json"
    run("skopeo", "copy", "--insecure-policy", f"docker-archive:{target}", f"dir:{tmp_path}/dir")
    assert machine.atomic("images", "save", NAME) == target.read_bytes()
    machine.atomic("images", "save", "-o", target, NAME, NAME)  # in the place of the first one
    assert sorted(os.listdir(tmp_path)) == ["dir", "out.tar", "policy.json", "root"]


def test_oci_archive(machine: Machine, tmp_path: Path) -> None:
    target = tmp_path / "out.tar"
    machine.atomic("images", "save", "--format=oci-archive", "-o", target, "saved:1")
    raw = run("skopeo", "inspect", "--raw", f"oci-archive:{target}:1")
    assert raw == run("skopeo", "inspect", "--raw", f"oci:{tmp_path}/saved:1")
    run("skopeo", "copy", "--insecure-policy", f"oci-archive:{target}", f"dir:{tmp_path}/dir")
    shutil.rmtree(tmp_path / "saved")
    before = target.read_bytes()
    said = machine.atomic("images", "save", "--format=oci-archive", "-o", target, "saved:1", code=1)
    assert b"cannot be fetched again" in said
    assert b"hint: " in said
    assert b"docker-archive" in said
    assert target.read_bytes() == before


@pytest.mark.parametrize("form", ["docker-archive", "oci-archive"])
@pytest.mark.parametrize("how", ["file", "stdin", "gzip"])
def test_load(machine: Machine, tmp_path: Path, form: str, how: str) -> None:
    saved = machine.atomic("images", "save", "--format", form, NAME, "saved:1")
    other = Machine(tmp_path / "other", ACCEPT)
    path = tmp_path / "in.tar"
    path.write_bytes(gzip.compress(saved) if how == "gzip" else saved)
    if how == "stdin":
        said = other.atomic("images", "load", stdin=saved)
    else:
        said = other.atomic("images", "load", "-i", path)
    loaded = [line for line in said.decode().splitlines() if line.startswith("Loaded")]
    assert loaded[0] == f"Loaded image: {NAME}"
    assert loaded[1].endswith("saved:1")
    other.fsck()
    both = [host.atomic("images", "inspect", NAME) for host in (machine, other)]
    ids = [json.loads(text)[0]["Id"] for text in both]
    assert ids[0] == ids[1]
    assert other.atomic("images", "save", NAME) == machine.atomic("images", "save", NAME)


def test_load_obeys_the_policy(machine: Machine, tmp_path: Path) -> None:
    saved = machine.atomic("images", "save", NAME)
    policy = {
        "default": [{"type": "insecureAcceptAnything"}],
        "transports": {"docker-archive": {"": [{"type": "reject"}]}},
    }
    other = Machine(tmp_path / "other", policy)
    other.atomic("images", "load", stdin=saved, code=6)
    assert b"[]" in other.atomic("images", "list", "--json")


def test_load_of_what_skopeo_writes(machine: Machine, tmp_path: Path) -> None:
    for form in ("docker-archive", "oci-archive"):
        target = f"{form}:{tmp_path}/{form}.tar:localhost/by-{form}:2"
        run("skopeo", "copy", "--insecure-policy", f"oci:{tmp_path}/saved:1", target)
        said = machine.atomic("images", "load", "-i", tmp_path / f"{form}.tar")
        assert f"Loaded image: localhost/by-{form}:2".encode() in said
    machine.fsck()
    assert b"Unable to find" in machine.atomic("images", "save", "localhost/no:1", code=4)


@pytest.mark.parametrize("content", [b"", b"nothing of the kind" * 99, archive([file("a", b"b")])])
def test_load_of_anything_else(tmp_path: Path, content: bytes) -> None:
    other = Machine(tmp_path / "other", ACCEPT)
    said = other.atomic("images", "load", stdin=content, code=1)
    assert said.count(b"atomic: ") == 1


@pytest.fixture
def engine() -> Iterator[str]:
    """podman's service, which speaks Docker's API. It takes only short names of directories."""
    with tempfile.TemporaryDirectory(prefix="podman-", dir="/tmp") as top:
        path = Path(top, "engine.sock")
        options = (f"--root={top}/storage", f"--runroot={top}/run", "--storage-driver=vfs")
        argv = ("podman", *options, "system", "service", "-t0", f"unix://{path}")
        with subprocess.Popen(argv) as service:
            try:
                deadline = time.monotonic() + 30
                while not path.exists():
                    assert service.poll() is None and time.monotonic() < deadline
                    time.sleep(0.05)
                yield f"unix://{path}"
            finally:
                service.terminate()


def test_an_engine(
    machine: Machine, tmp_path: Path, engine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", engine)
    source = DockerDaemonSource(reference=DockerReference.parse(NAME))
    saved = machine.atomic("images", "save", NAME)
    docker = DockerEngine(socket_path(engine))
    docker.load(len(saved), [saved])
    config = DockerDaemonOrigin(source, docker).manifest(None)
    other = Machine(tmp_path / "other", ACCEPT)
    other.atomic("pull", f"docker-daemon:{NAME}")
    other.fsck()
    assert str(config.digest) in other.atomic("images", "list", "--json").decode()
    for host in (machine, other):
        (shown,) = json.loads(host.atomic("images", "inspect", NAME))
        assert shown["Id"] == json.loads(machine.atomic("images", "inspect", NAME))[0]["Id"]
    assert other.atomic("images", "save", NAME) == saved
    missing = other.atomic("pull", "docker-daemon:localhost/missing:1", code=4)
    assert b"docker has no image localhost/missing:1" in missing
