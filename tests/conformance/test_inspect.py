# SPDX-License-Identifier: LGPL-2.1-or-later
"""`inspect` and `list-tags` say what skopeo says, on a real registry and on files."""

import hashlib
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.places import bytes_of
from tests.support.registry import docker_registry

pytestmark = pytest.mark.conformance


def run(*argv: str | Path) -> bytes:
    done = subprocess.run(argv, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def atomic(root: Path, *argv: str, status: int = 0) -> bytes:
    return bytes_of(["--root", str(root), *argv], status)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str, Path]]:
    """A layout, a registry with its image in two formats and an index, and a root."""
    directory = tmp_path_factory.mktemp("inspect")
    layout, root = directory / "layout", directory / "root"
    bundle = directory / "bundle"
    run("umoci", "init", "--layout", layout)
    run("umoci", "new", "--image", f"{layout}:1")
    run("umoci", "unpack", "--rootless", "--image", f"{layout}:1", bundle)
    (bundle / "rootfs/file").write_text("x\n")
    run("umoci", "repack", "--image", f"{layout}:1", bundle)
    run(
        "umoci", "config", "--image", f"{layout}:1", "--architecture=amd64", "--os=linux",
        "--config.label=z=<é>&", "--config.label=a=1", "--config.env=A=1", "--config.cmd=sh",
        "--config.volume=/v", "--config.exposedports=80/tcp", "--author=somebody",
    )  # fmt: skip
    (directory / "registry").mkdir()
    (root / "etc/containers").mkdir(parents=True)
    with docker_registry(directory / "registry") as host:
        conf = f'[[registry]]\nlocation = "{host}"\ninsecure = true\n'
        (root / "etc/containers/registries.conf").write_text(conf)
        copy = ("skopeo", "copy", "--quiet", "--dest-tls-verify=false")
        run(*copy, f"oci:{layout}:1", f"docker://{host}/ns/image:oci")
        run(*copy, "--format=v2s2", f"oci:{layout}:1", f"docker://{host}/ns/image:docker")
        files = layout.parent
        for target in (
            "dir:{}/dir",
            "oci-archive:{}/oci.tar:1",
            "docker-archive:{}/docker.tar:h/i:1",
        ):
            run("skopeo", "copy", "--quiet", f"oci:{layout}:1", target.format(files))
        yield root, host, layout


def images(world: tuple[Path, str, Path]) -> list[str]:
    _, host, layout = world
    return [
        f"docker://{host}/ns/image:oci",
        f"docker://{host}/ns/image:docker",
        f"oci:{layout}:1",
        f"dir:{layout.parent}/dir",
        f"oci-archive:{layout.parent}/oci.tar:1",
        f"docker-archive:{layout.parent}/docker.tar:h/i:1",
    ]


def skopeo(*argv: str) -> bytes:
    insecure = ("--tls-verify=false",) if "docker://" in argv[-1] else ()
    return run("skopeo", argv[0], *insecure, *argv[1:])


@pytest.mark.parametrize("number", range(6))
@pytest.mark.parametrize("options", [("--raw",), ("--config", "--raw")], ids=" ".join)
def test_raw_bytes(world: tuple[Path, str, Path], number: int, options: tuple[str, ...]) -> None:
    image = images(world)[number]
    assert atomic(world[0], "inspect", *options, image) == skopeo("inspect", *options, image)


@pytest.mark.parametrize("number", range(6))
@pytest.mark.parametrize("options", [(), ("--config",), ("--no-tags",)], ids=" ".join)
def test_documents(world: tuple[Path, str, Path], number: int, options: tuple[str, ...]) -> None:
    image = images(world)[number]
    ours = json.loads(atomic(world[0], "inspect", *options, image))
    theirs = json.loads(skopeo("inspect", *options, image))
    if "LayersData" not in theirs:  # skopeo has it since 1.10
        for layer in ours.pop("LayersData", ()):
            assert layer["Digest"] in theirs["Layers"]
    for answer in (ours, theirs):  # the registry's order changes from one answer to the next
        answer.get("RepoTags", []).sort()
    assert json.dumps(ours) == json.dumps(theirs)


@pytest.fixture(scope="module")
def several(world: tuple[Path, str, Path]) -> str:
    """An index of one tag with an image for each of three platforms; returns its reference."""
    _, host, layout = world
    base = layout.parent / "several"
    run("umoci", "init", "--layout", base)
    entries = []
    for platform in ("linux/amd64", "linux/s390x", "linux/arm/v6"):
        system, architecture, *variant = platform.split("/")
        run("umoci", "new", "--image", f"{base}:{architecture}")
        run(
            "umoci", "config", "--image", f"{base}:{architecture}",
            f"--architecture={architecture}", f"--os={system}",
        )  # fmt: skip
        index = json.loads((base / "index.json").read_bytes())
        (entry,) = (
            entry for entry in index["manifests"]
            if entry["annotations"]["org.opencontainers.image.ref.name"] == architecture
        )  # fmt: skip
        where = {"os": system, "architecture": architecture}
        entry["platform"] = where | ({"variant": variant[0]} if variant else {})
        entries.append({key: entry[key] for key in ("mediaType", "digest", "size", "platform")})
    document = json.dumps({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": entries,
    }).encode()
    digest = hashlib.sha256(document).hexdigest()
    (base / f"blobs/sha256/{digest}").write_bytes(document)
    index["manifests"] = [
        {
            "mediaType": "application/vnd.oci.image.index.v1+json",
            "digest": f"sha256:{digest}",
            "size": len(document),
            "annotations": {"org.opencontainers.image.ref.name": "all"},
        }
    ]
    (base / "index.json").write_text(json.dumps(index))
    target = f"docker://{host}/ns/several:all"
    run("skopeo", "copy", "--quiet", "--all", "--dest-tls-verify=false", f"oci:{base}:all", target)
    return target


@pytest.mark.parametrize(
    "options",
    [
        ("--override-arch=s390x",),
        ("--override-arch", "arm"),
        ("--override-arch=arm", "--override-variant=v7"),
        ("--override-arch=amd64", "--override-variant=v3"),
        ("--override-os=linux", "--override-arch=amd64"),
    ],
    ids=" ".join,
)
def test_platforms_are_chosen_as_by_skopeo(
    world: tuple[Path, str, Path], several: str, options: tuple[str, ...]
) -> None:
    asked = ("inspect", "--config", "--raw")
    theirs = run("skopeo", *options, *asked, "--tls-verify=false", several)
    assert atomic(world[0], *options, *asked, several) == theirs


@pytest.mark.parametrize(
    ("options", "status"),
    [
        (("--override-arch=mips",), 1),
        (("--override-os=plan9", "--override-arch=amd64"), 1),
        (("--override-arch=arm", "--override-variant=v5"), 1),
        (("--override-arch=a/b",), 2),
    ],
    ids=str,
)
def test_platforms_that_are_not_there(
    world: tuple[Path, str, Path], several: str, options: tuple[str, ...], status: int
) -> None:
    assert atomic(world[0], *options, "inspect", several, status=status) == b""


def test_an_image_of_the_store_is_shown_like_that_of_its_registry(
    world: tuple[Path, str, Path], several: str, tmp_path: Path
) -> None:
    root, host, _ = world
    (tmp_path / "etc/containers").mkdir(parents=True)
    policy = {"default": [{"type": "insecureAcceptAnything"}]}
    (tmp_path / "etc/containers/policy.json").write_text(json.dumps(policy))
    conf = (root / "etc/containers/registries.conf").read_bytes()
    (tmp_path / "etc/containers/registries.conf").write_bytes(conf)
    for tag in ("oci", "docker"):
        atomic(tmp_path, "pull", f"{host}/ns/image:{tag}")
    for options in (("--raw",), ("--config",), ("--config", "--raw")):
        here = atomic(tmp_path, "inspect", *options, f"ostree:{host}/ns/image:oci")
        assert here == atomic(root, "inspect", *options, f"{host}/ns/image:oci"), options
    here, there = (
        json.loads(atomic(tmp_path, "inspect", f"{transport}{host}/ns/image:docker"))
        for transport in ("ostree:", "docker://")
    )
    assert here["RepoTags"] == ["docker", "oci"]
    without = atomic(tmp_path, "inspect", "--no-tags", f"ostree:{host}/ns/image:docker")
    assert json.loads(without) == here | {"RepoTags": []}
    assert here | {"RepoTags": []} == there | {"RepoTags": []}
    atomic(tmp_path, "--override-arch=s390x", "pull", several)
    assert (
        json.loads(atomic(tmp_path, "inspect", f"ostree:{several.removeprefix('docker://')}"))[
            "Architecture"
        ]
        == "s390x"
    )
    assert atomic(tmp_path, "inspect", "ostree:nothing", status=4) == b""


def test_list_tags(world: tuple[Path, str, Path]) -> None:
    root, host, _ = world
    ours = json.loads(atomic(root, "list-tags", f"docker://{host}/ns/image"))
    theirs = json.loads(skopeo("list-tags", f"docker://{host}/ns/image"))
    assert list(ours) == list(theirs)
    assert ours["Repository"] == theirs["Repository"]
    assert sorted(ours["Tags"]) == sorted(theirs["Tags"]) == ["docker", "oci"]
    assert json.loads(atomic(root, "list-tags", f"{host}/ns/image")) is not None


@pytest.mark.parametrize("suffix", [":oci", ":latest", "@sha256:" + "0" * 64])
def test_list_tags_wants_a_repository(world: tuple[Path, str, Path], suffix: str) -> None:
    assert atomic(world[0], "list-tags", f"{world[1]}/ns/image{suffix}", status=2) == b""


def test_policy_is_not_asked(world: tuple[Path, str, Path]) -> None:
    root, host, _ = world
    (root / "etc/containers/policy.json").write_text('{"default": [{"type": "reject"}]}')
    try:
        assert atomic(root, "inspect", "--raw", f"docker://{host}/ns/image:oci")
    finally:
        (root / "etc/containers/policy.json").unlink()


def test_nothing_is_stored(world: tuple[Path, str, Path]) -> None:
    root, host, _ = world
    atomic(root, "inspect", f"docker://{host}/ns/image:oci")
    assert not (root / "var").exists()
    assert not (root / "ostree").exists()


@pytest.mark.parametrize("number", range(3, 6))
def test_files_of_skopeo_are_pulled(
    world: tuple[Path, str, Path], tmp_path: Path, number: int
) -> None:
    _, _, layout = world
    image = images(world)[number]
    transport, _, path = image.partition(":")
    file = path.removesuffix(":1").removesuffix(":h/i")
    scope = "" if transport == "docker-archive" else file
    policy = {
        "default": [{"type": "reject"}],
        "transports": {transport: {scope: [{"type": "insecureAcceptAnything"}]}},
    }
    (tmp_path / "etc/containers").mkdir(parents=True)
    (tmp_path / "etc/containers/policy.json").write_text(json.dumps(policy))
    pulled = json.loads(atomic(tmp_path, "pull", "--json", image))
    raw = skopeo("inspect", "--raw", image)
    assert pulled["digest"] == f"sha256:{hashlib.sha256(raw).hexdigest()}"
    wanted = json.loads(skopeo("inspect", "--raw", f"oci:{layout}:1"))["config"]["digest"]
    assert json.loads(raw)["config"]["digest"] == wanted
    (ref,) = (tmp_path / "var/lib/containers/atomic/.storage/ostree").glob(
        f"refs/heads/ociimage/{wanted.removeprefix('sha256:')}"
    )
    run("ostree", f"--repo={ref.parents[3]}", "fsck", "--quiet")
    assert not json.loads(atomic(tmp_path, "pull", "--json", image))["changed"]
    policy["transports"] = {transport: {"/elsewhere": policy["default"]}} if scope else {}
    (tmp_path / "etc/containers/policy.json").write_text(json.dumps(policy))
    assert atomic(tmp_path, "pull", image, status=6) == b""
