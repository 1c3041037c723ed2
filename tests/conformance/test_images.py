# SPDX-License-Identifier: LGPL-2.1-or-later
"""The example images, built for real: reproducible, valid for umoci and systemd, run by runc."""

import json
import os
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from images.build import build, default_cache
from images.layout import Layout
from images.payload import Variant
from images.recipes import RECIPES
from tests.unit.images.rendering import rendered

pytestmark = pytest.mark.conformance
SYSTEM_CONTAINERS = ("etcd", "flannel", "docker", "hello-world")
START_LIMIT = 20.0  # seconds


@pytest.fixture(scope="module")
def output(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("layouts")


@pytest.fixture(scope="module")
def digests(output: Path) -> Mapping[str, str]:
    return build(tuple(RECIPES), output)


@pytest.fixture(scope="module")
def roots(
    digests: Mapping[str, str], output: Path, tmp_path_factory: pytest.TempPathFactory
) -> Mapping[str, Path]:
    """The root of each image, unpacked by umoci."""
    bundles = tmp_path_factory.mktemp("bundles")
    for name in digests:
        Layout(path=output / name, epoch=0).unpack(bundles / name)
    return {name: bundles / name / "rootfs" for name in digests}


def contents(root: Path) -> list[str]:
    return sorted(os.fspath(path.relative_to(root)) for path in root.rglob("*"))


def test_two_builds_are_the_same(
    digests: Mapping[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second one makes every layer anew, and under another umask."""
    cache = tmp_path / "cache"
    cache.mkdir()
    (cache / "archives").symlink_to(default_cache() / "archives")
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
    mask = os.umask(0o077)
    try:
        again = build(tuple(RECIPES), tmp_path / "again", cache=cache)
    finally:
        os.umask(mask)
    assert again == digests


def test_build_leaves_only_layouts(digests: Mapping[str, str], output: Path) -> None:
    assert sorted(path.name for path in output.iterdir()) == sorted(digests)


@pytest.mark.parametrize("name", RECIPES)
def test_unpacks_and_says_what_it_is(
    name: str, digests: Mapping[str, str], output: Path, roots: Mapping[str, Path]
) -> None:
    blobs = output / name / "blobs" / "sha256"
    manifest = json.loads((blobs / digests[name].removeprefix("sha256:")).read_bytes())
    config_digest = manifest["config"]["digest"].removeprefix("sha256:")
    config = json.loads((blobs / config_digest).read_bytes())
    labels = config["config"]["Labels"]
    assert labels["org.opencontainers.image.title"] == name
    assert labels["org.opencontainers.image.version"]
    assert labels.get("atomic.type") == (None if name == "busybox" else "system")
    assert (roots[name] / "exports").is_dir() is (name != "busybox")
    # nothing that no tag reaches
    layers = {layer["digest"].removeprefix("sha256:") for layer in manifest["layers"]}
    reached = layers | {config_digest, digests[name].removeprefix("sha256:")}
    assert {path.name for path in blobs.iterdir()} == reached


def test_base_layer_is_shared(digests: Mapping[str, str], output: Path) -> None:
    first = {
        json.loads((output / name / "blobs/sha256" / digests[name][7:]).read_bytes())["layers"][0][
            "digest"
        ]
        for name in ("etcd", "flannel", "docker")
    }
    assert len(first) == 1


@pytest.mark.parametrize("name", RECIPES)
def test_nothing_of_the_machine_is_in_an_image(name: str, roots: Mapping[str, Path]) -> None:
    names = contents(roots[name])
    for unwanted in ("etc/machine-id", "etc/hostname", "var/cache", "var/log"):
        assert unwanted not in names
    assert not [path for path in names if path.endswith((".pyc", ".pid", ".lock", "~"))]


@pytest.mark.parametrize("name", ["etcd", "flannel", "docker"])
def test_copyright_stays(name: str, roots: Mapping[str, Path]) -> None:
    packages = (roots[name] / "var/lib/dpkg/status.d").iterdir()
    documents = roots[name] / "usr/share/doc"
    without = [p.name for p in packages if not (documents / p.name / "copyright").exists()]
    assert without == []


@pytest.mark.parametrize(
    ("name", "command"),
    [
        ("etcd", ["etcd", "--version"]),
        ("etcd", ["etcdctl", "version"]),
        ("flannel", ["python3", "-c", "import http.client, ssl, json, ipaddress"]),
        ("flannel", ["ip", "-V"]),
        ("flannel", ["iptables", "--version"]),
        ("docker", ["dockerd", "--version"]),
        ("docker", ["docker", "--version"]),
        ("docker", ["runc", "--version"]),
        ("docker", ["containerd", "--version"]),
        ("busybox", ["sh", "-c", "ls / | grep bin"]),
    ],
    ids=lambda value: value if isinstance(value, str) else value[0],
)
def test_programs_run(name: str, command: list[str], roots: Mapping[str, Path]) -> None:
    subprocess.run(["chroot", roots[name], *command], check=True, capture_output=True)


def test_variant_is_one_layer_more(
    digests: Mapping[str, str], tmp_path: Path, output: Path
) -> None:
    variant = Variant(tag="v2", labels={"release": "2"}, files={"/etc/release": "2\n"})
    second = build(["busybox"], tmp_path, variant=variant)["busybox"]
    layout = Layout(path=tmp_path / "busybox", epoch=0)
    assert second != digests["busybox"]
    assert (layout.digest("latest"), layout.digest("v2")) == (digests["busybox"], second)
    layout.unpack(tmp_path / "bundle", tag="v2")
    assert (tmp_path / "bundle/rootfs/etc/release").read_text() == "2\n"
    assert build(["busybox"], tmp_path, variant=variant)["busybox"] == second


def test_units_are_units(tmp_path: Path) -> None:
    for name in SYSTEM_CONTAINERS:
        (tmp_path / f"{name}.service").write_text(rendered(name).unit or "")
    done = subprocess.run(
        ["systemd-analyze", "verify", *sorted(tmp_path.iterdir())],
        env={**os.environ, "SYSTEMD_UNIT_PATH": f"{tmp_path}:"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("name", SYSTEM_CONTAINERS)
def test_tmpfiles_are_accepted(name: str, tmp_path: Path) -> None:
    (tmp_path / "x.conf").write_text(rendered(name).tmpfiles or "")
    root = tmp_path / "root"
    root.mkdir()
    done = subprocess.run(
        ["systemd-tmpfiles", "--create", f"--root={root}", tmp_path / "x.conf"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert list(root.iterdir())


@pytest.fixture
def network() -> Iterator[str]:
    """A network namespace with loopback up."""
    name = f"hello-{os.getpid()}"
    subprocess.run(["ip", "netns", "add", name], check=True)
    try:
        subprocess.run(["ip", "-n", name, "link", "set", "lo", "up"], check=True)
        yield name
    finally:
        subprocess.run(["ip", "netns", "delete", name], check=True)


def test_hello_world_answers(roots: Mapping[str, Path], network: str, tmp_path: Path) -> None:
    """Run by runc as the unit would, but for the service manager."""
    bundle, before = roots["hello-world"].parent, contents(roots["hello-world"])
    run = tmp_path / "run"
    (run / "hello-world").mkdir(parents=True)
    values = {"RUN_DIRECTORY": os.fspath(run), "RECEIVER": "Conformance", "PORT": "8083"}
    (bundle / "config.json").write_bytes(rendered("hello-world", values).config)
    # not `ip netns exec`: it mounts another /sys, where runc finds no cgroups
    inside = ["nsenter", f"--net=/run/netns/{network}"]
    runc = [*inside, "runc", "--root", os.fspath(tmp_path / "state")]
    name = f"hello-{os.getpid()}"
    with subprocess.Popen(
        [*runc, "run", "--no-new-keyring", "--bundle", bundle, name],
        stdin=subprocess.DEVNULL,
    ) as process:
        try:
            deadline = time.monotonic() + START_LIMIT
            check = [*runc, "exec", name, "/usr/libexec/hello/check"]
            while subprocess.run(check, capture_output=True, check=False).returncode != 0:
                assert process.poll() is None and time.monotonic() < deadline
                os.sched_yield()
            page = subprocess.run(
                [*inside, shutil.which("python3") or "python3", "-c", _FETCH],
                capture_output=True,
                text=True,
                check=True,
            )
            assert page.stdout == "Hi Conformance\n"
            subprocess.run([*runc, "kill", name, "TERM"], check=True)
            assert process.wait(timeout=START_LIMIT) == 0
        finally:
            subprocess.run([*runc, "delete", "--force", name], capture_output=True, check=False)
    assert contents(roots["hello-world"]) == before


_FETCH = f"""
from {urllib.request.__name__} import urlopen
print(urlopen("http://127.0.0.1:8083/", timeout=10).read().decode(), end="")
"""
