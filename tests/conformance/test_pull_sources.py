# SPDX-License-Identifier: LGPL-2.1-or-later
"""Origins and layers with the real tools as judges: docker-registry, skopeo, umoci, GNU tar."""

import hashlib
import json
import os
import subprocess
import tarfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from atomic_sys.image.auth import AccessDenied
from atomic_sys.image.auth_file import parse_option
from atomic_sys.image.auth_store import save
from atomic_sys.image.credentials import CredentialLookup
from atomic_sys.image.http import Http
from atomic_sys.image.http_response import NetworkError
from atomic_sys.image.layer import read_layer
from atomic_sys.image.layout import LayoutOrigin
from atomic_sys.image.origin import Origin
from atomic_sys.image.registries_conf import Registries, parse
from atomic_sys.image.registry import NotInRegistry, RegistryOrigin
from atomic_sys.image.resolve import ResolvedImage, resolve
from atomic_sys.model import image_config
from atomic_sys.model.layer import Directory, Entry, HardLink, RegularFile, Symlink, Whiteout
from atomic_sys.model.platform import Platform
from atomic_sys.model.reference import ImageName
from atomic_sys.model.source import LayoutSource, RegistrySource
from tests.support.archives import read
from tests.support.registry import LOGIN, Door, docker_registry

pytestmark = pytest.mark.conformance
AMD64 = Platform(os="linux", architecture="amd64")
ARM64 = Platform(os="linux", architecture="arm64", variant="v8")


def run(*argv: str | Path, cwd: Path | None = None) -> bytes:
    done = subprocess.run(argv, capture_output=True, cwd=cwd, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """A layout, and a registry that has the same image, more densely packed and for two hosts."""

    layout: Path
    host: str


def make_layout(directory: Path) -> Path:
    """An image of two layers: files, links, odd names, a whiteout and an opaque directory."""
    layout, bundle = directory / "layout", directory / "bundle"
    run("umoci", "init", "--layout", layout)
    run("umoci", "new", "--image", f"{layout}:1")
    run("umoci", "unpack", "--rootless", "--image", f"{layout}:1", bundle)
    root = bundle / "rootfs"
    (root / "usr/bin").mkdir(parents=True)
    (root / "etc").mkdir()
    (root / "usr/bin/tool").write_bytes(os.urandom(3_000_000))
    (root / "usr/bin/tool").chmod(0o4755)
    os.link(root / "usr/bin/tool", root / "usr/bin/other")
    (root / "etc/conf").write_text("x\n")
    (root / "etc/gone").write_text("y\n")
    (root / "bin").symlink_to("usr/bin")
    (root / ("long" * 40)).mkdir()
    (root / ("long" * 40) / ("ä" * 100)).write_text("z")
    run("umoci", "repack", "--refresh-bundle", "--image", f"{layout}:1", bundle)
    (root / "etc/gone").unlink()
    (root / "etc/new").write_text("new\n")
    run("umoci", "repack", "--image", f"{layout}:1", bundle)
    run("umoci", "config", "--image", f"{layout}:1", "--architecture", "amd64", "--os", "linux")
    run("umoci", "tag", "--image", f"{layout}:1", "2")
    run("umoci", "config", "--image", f"{layout}:2", "--architecture", "arm64")
    run("umoci", "gc", "--layout", layout)
    return layout


def add_index(layout: Path) -> None:
    """The tag `multi`: an index of the images 1 and 2, which no tool here can make."""
    index = json.loads((layout / "index.json").read_bytes())
    tag = "org.opencontainers.image.ref.name"
    entries = []
    for name, architecture in (("2", "arm64"), ("1", "amd64")):
        (entry,) = (e for e in index["manifests"] if e["annotations"][tag] == name)
        kept = {key: entry[key] for key in ("mediaType", "digest", "size")}
        entries.append(kept | {"platform": {"os": "linux", "architecture": architecture}})
    media_type = "application/vnd.oci.image.index.v1+json"
    body = {"schemaVersion": 2, "mediaType": media_type, "manifests": entries}
    raw = json.dumps(body).encode()
    name = hashlib.sha256(raw).hexdigest()
    (layout / "blobs/sha256" / name).write_bytes(raw)
    index["manifests"].append({
        "mediaType": media_type,
        "digest": f"sha256:{name}",
        "size": len(raw),
        "annotations": {tag: "multi"},
    })
    (layout / "index.json").write_text(json.dumps(index))


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    directory = tmp_path_factory.mktemp("world")
    layout = make_layout(directory)
    add_index(layout)
    (directory / "registry").mkdir()
    with docker_registry(directory / "registry") as host:
        copy = ("skopeo", "copy", "--quiet", "--dest-tls-verify=false")
        run(*copy, f"oci:{layout}:1", f"docker://{host}/ns/image:oci")
        run(*copy, "--format=v2s2", f"oci:{layout}:1", f"docker://{host}/ns/image:docker")
        # By way of a layout, since a registry that has the gzip blobs already would get no others.
        packed = directory / "zstd"
        compress = ("--dest-compress", "--dest-compress-format=zstd")
        run("skopeo", "copy", "--quiet", *compress, f"oci:{layout}:1", f"oci:{packed}:1")
        run(*copy, "--preserve-digests", f"oci:{packed}:1", f"docker://{host}/ns/image:zstd")
        run(*copy, "--all", f"oci:{layout}:multi", f"docker://{host}/ns/image:multi")
        yield World(layout=layout, host=host)


@pytest.fixture
def http() -> Iterator[Http]:
    with Http() as door:
        yield door


def in_registry(http: Http, world: World, tag: str) -> RegistryOrigin:
    name = ImageName.parse(f"{world.host}/ns/image:{tag}")
    return RegistryOrigin(http, RegistrySource(name=name, plain_http=True), Registries())


def in_layout(world: World, tag: str) -> LayoutOrigin:
    return LayoutOrigin(LayoutSource(path=str(world.layout), tag=tag))


def tree_of(origin: Origin, image: ResolvedImage) -> list[list[tuple[Entry, bytes]]]:
    """The entries of every layer with their content, diff ids checked."""
    config = image_config.parse(b"".join(origin.blob(image.manifest.config)))
    return [
        [
            (entry, b"".join(content))
            for entry, content in read_layer(origin.blob(layer), diff_id=diff_id)
        ]
        for layer, diff_id in zip(image.manifest.layers, config.diff_ids, strict=True)
    ]


@pytest.mark.parametrize("tag", ["oci", "docker", "zstd", "multi"])
def test_manifest_is_what_skopeo_sees(http: Http, world: World, tag: str) -> None:
    url = f"docker://{world.host}/ns/image:{tag}"
    raw = run("skopeo", "inspect", "--raw", "--tls-verify=false", url)
    manifest = in_registry(http, world, tag).manifest(None)
    assert manifest.raw == raw
    assert in_registry(http, world, tag).manifest(manifest.digest).raw == raw


@pytest.mark.parametrize("tag", ["oci", "docker", "zstd"])
def test_blobs_are_what_skopeo_copies(http: Http, world: World, tmp_path: Path, tag: str) -> None:
    url = f"docker://{world.host}/ns/image:{tag}"
    run("skopeo", "copy", "--quiet", "--src-tls-verify=false", url, f"dir:{tmp_path}")
    origin = in_registry(http, world, tag)
    image = resolve(origin, AMD64)
    assert image.raw.raw == (tmp_path / "manifest.json").read_bytes()
    blobs = (image.manifest.config, *image.manifest.layers)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda blob: b"".join(origin.blob(blob)), blobs))
    assert found == [(tmp_path / blob.digest.hex).read_bytes() for blob in blobs]


def test_layout_is_what_skopeo_sees(world: World) -> None:
    raw = run("skopeo", "inspect", "--raw", f"oci:{world.layout}:1")
    assert in_layout(world, "1").manifest(None).raw == raw


def test_all_packings_hold_the_same(http: Http, world: World) -> None:
    origins: list[Origin] = [
        in_registry(http, world, tag) for tag in ("oci", "docker", "zstd", "multi")
    ]
    origins += [in_layout(world, "1"), in_layout(world, "multi")]
    images = [resolve(origin, AMD64) for origin in origins]
    trees = [tree_of(origin, image) for origin, image in zip(origins, images, strict=True)]
    assert all(tree == trees[0] for tree in trees)
    zstd = images[2].manifest.layers
    assert all(layer.media_type.endswith("tar+zstd") for layer in zstd), "else nothing was tested"
    lower, upper = ({entry.path: entry for entry, _ in layer} for layer in trees[0])
    tool = next(e for e in lower.values() if isinstance(e, RegularFile) and e.size == 3_000_000)
    assert tool.metadata.mode == 0o4755
    assert any(isinstance(entry, HardLink) for entry in lower.values())
    assert isinstance(lower["bin",], Symlink)
    assert isinstance(lower["long" * 40,], Directory)
    assert isinstance(lower["long" * 40, "ä" * 100], RegularFile)
    assert upper["etc", "gone"] == Whiteout(("etc", "gone"))
    assert isinstance(upper["etc", "new"], RegularFile)


def test_platforms(http: Http, world: World) -> None:
    for origin in (in_registry(http, world, "multi"), in_layout(world, "multi")):
        for platform in (AMD64, ARM64):
            image = resolve(origin, platform)
            assert image.index is not None
            config = json.loads(b"".join(origin.blob(image.manifest.config)))
            assert config["architecture"] == platform.architecture


def test_not_there(http: Http, world: World) -> None:
    with pytest.raises(NotInRegistry, match="MANIFEST_UNKNOWN: manifest unknown"):
        in_registry(http, world, "none").manifest(None)


def test_http_only_where_the_configuration_says_so(http: Http, world: World) -> None:
    source = RegistrySource(name=ImageName.parse(f"{world.host}/ns/image:oci"))
    with pytest.raises(NetworkError, match="cannot reach https"):
        RegistryOrigin(http, source, Registries()).manifest(None)
    conf = f'[[registry]]\nlocation = "{world.host}"\ninsecure = true\n'
    assert RegistryOrigin(http, source, parse(conf.encode(), "conf")).manifest(None).raw


def test_password(http: Http, world: World, tmp_path: Path) -> None:
    """skopeo logs in and pushes with a password; we pull with the file that it wrote."""
    user, _, password = LOGIN.partition(":")
    auth = tmp_path / "auth.json"
    with docker_registry(tmp_path, Door.BASIC) as host:
        login = ("skopeo", "login", "--tls-verify=false", "-u", user, "-p", password)
        run(*login, f"--authfile={auth}", host)
        copy = ("skopeo", "copy", "--quiet", "--dest-tls-verify=false", f"--authfile={auth}")
        run(*copy, f"oci:{world.layout}:1", f"docker://{host}/ns/image:1")
        source = RegistrySource(name=ImageName.parse(f"{host}/ns/image:1"), plain_http=True)
        lookup = CredentialLookup({}, named=str(auth))
        raw = RegistryOrigin(http, source, Registries(), lookup).manifest(None).raw
        assert raw == in_layout(world, "1").manifest(None).raw
        save(str(tmp_path / "ours.json"), f"{host}/ns", parse_option(LOGIN), timeout=5)
        ours = ("--tls-verify=false", f"--authfile={tmp_path}/ours.json")
        assert run("skopeo", "inspect", "--raw", *ours, f"docker://{host}/ns/image:1") == raw
        wrong = CredentialLookup({}, named=str(auth), given=parse_option(f"{user}:wrong"))
        for credentials in (None, wrong):
            with pytest.raises(AccessDenied):
                RegistryOrigin(http, source, Registries(), credentials).manifest(None)


@pytest.mark.parametrize("format_", ["v7", "oldgnu", "gnu", "ustar", "posix"])
def test_archives_of_gnu_tar(tmp_path: Path, format_: str) -> None:
    root = tmp_path / "root"
    (root / "d").mkdir(parents=True)
    (root / "d/file").write_bytes(os.urandom(70_000))
    (root / "d/empty").touch()
    os.link(root / "d/file", root / "d/linked")
    (root / "link").symlink_to("d/file")
    names = ["short"] if format_ == "v7" else ["s" * 90 + "/" + "t" * 90]
    if format_ in ("oldgnu", "gnu", "posix"):
        names.append("u" * 200 + "/" + "v" * 200)
        (root / "farlink").symlink_to("w" * 300)
    for name in names:
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_text(name)
    path = tmp_path / "a.tar"
    run("tar", f"--format={format_}", "-cf", path, "--owner=7", "--group=8", "-C", root, ".")
    found = {entry.path: (entry, content) for entry, content in read([path.read_bytes()])}
    with tarfile.open(path) as oracle:
        for info in oracle:
            parts = tuple(part for part in info.name.split("/") if part != ".")
            entry, content = found.pop(parts)
            if isinstance(entry, RegularFile | Directory | Symlink):
                meta = entry.metadata
                assert (meta.uid, meta.gid, meta.mode) == (7, 8, info.mode)
            if isinstance(entry, RegularFile):
                file = oracle.extractfile(info)
                assert file is not None
                assert content == file.read()
            elif isinstance(entry, Symlink):
                assert entry.target == info.linkname
            elif isinstance(entry, HardLink):
                assert "/".join(entry.target) == info.linkname.removeprefix("./")
    assert not found
