# SPDX-License-Identifier: LGPL-2.1-or-later
"""What `copy` and `push` write is what skopeo reads, byte for byte, and the other way round."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conformance.copying import Root, content, run
from tests.support.fake_registry import make_certificate
from tests.support.indexes import IndexedImage, indexed_layout
from tests.support.registry import LOGIN, Door, docker_registry

pytestmark = pytest.mark.conformance
INSECURE = ("--src-tls-verify=false", "--dest-tls-verify=false")


@dataclass(frozen=True)
class World:
    image: IndexedImage
    host: str

    @property
    def layout(self) -> str:
        return f"oci:{self.image.path}"

    def registry(self, name: str) -> str:
        return f"docker://{self.host}/{name}"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    directory = tmp_path_factory.mktemp("copy")
    image = indexed_layout(directory / "layout")
    with docker_registry(directory) as host:
        yield World(image, host)


@pytest.fixture
def root(tmp_path: Path, world: World) -> Root:
    made = Root(tmp_path / "root")
    made.insecure(world.host)
    return made


def by_skopeo(source: str, path: Path, *options: str) -> dict[str, bytes]:
    """The files of the image in a `dir:` of skopeo's."""
    run("skopeo", "copy", "--quiet", "--src-tls-verify=false", *options, source, f"dir:{path}")
    return content(path)


def raw(image: str) -> bytes:
    insecure = ("--tls-verify=false",) if image.startswith("docker:") else ()
    return run("skopeo", "inspect", "--raw", *insecure, image)


@pytest.mark.parametrize("options", [(), ("--all",)], ids=["one", "all"])
@pytest.mark.parametrize("kind", ["docker", "oci", "dir"])
def test_skopeo_reads_what_we_write(
    world: World, root: Root, tmp_path: Path, kind: str, options: tuple[str, ...]
) -> None:
    target = {
        "docker": world.registry(f"ours/{'all' if options else 'one'}:1"),
        "oci": f"oci:{tmp_path}/new/layout:1",
        "dir": f"dir:{tmp_path}/new/dir",
    }[kind]
    root.atomic("copy", *options, f"{world.layout}:multi", target)
    wanted = by_skopeo(f"{world.layout}:multi", tmp_path / "wanted", *options)
    assert by_skopeo(target, tmp_path / "found", *options) == wanted
    assert len(wanted) == (8 if options else 4)
    if kind == "dir":
        assert content(tmp_path / "new/dir") == wanted
    assert raw(target) == wanted["manifest.json"]


@pytest.mark.parametrize("options", [(), ("--all",)], ids=["one", "all"])
@pytest.mark.parametrize("kind", ["docker", "oci", "dir"])
def test_we_read_what_skopeo_writes(
    world: World, root: Root, tmp_path: Path, kind: str, options: tuple[str, ...]
) -> None:
    source = {
        "docker": world.registry(f"theirs/{'all' if options else 'one'}:1"),
        "oci": f"oci:{tmp_path}/layout:1",
        "dir": f"dir:{tmp_path}/dir",
    }[kind]
    run("skopeo", "copy", "--quiet", *INSECURE, *options, f"{world.layout}:multi", source)
    root.atomic("copy", *options, source, f"dir:{tmp_path}/found")
    assert content(tmp_path / "found") == by_skopeo(source, tmp_path / "wanted", *options)


def test_formats_are_kept(world: World, root: Root, tmp_path: Path) -> None:
    source = f"dir:{tmp_path}/docker"
    run("skopeo", "copy", "--quiet", "--format=v2s2", f"{world.layout}:amd64", source)
    target = world.registry("formats/docker:1")
    root.atomic("copy", source, target)
    assert by_skopeo(target, tmp_path / "found") == content(tmp_path / "docker")
    said = root.atomic("copy", source, f"oci:{tmp_path}/layout:1", status=1)
    assert "nothing is converted" in said
    assert "dir:DIRECTORY" in said
    assert not (tmp_path / "layout").exists()


def test_from_the_store_and_back(world: World, root: Root, tmp_path: Path) -> None:
    """A pulled image is pushed elsewhere, its layers mounted or fetched again."""
    root.atomic("copy", f"{world.layout}:amd64", world.registry("store/source:1"))
    name = f"{world.host}/store/source:1"
    root.atomic("pull", name)
    digestfile = tmp_path / "digest"
    target = f"{world.host}/store/target:2"
    said = root.atomic("--debug", "push", "--digestfile", digestfile, name, target)
    assert said.count("mounted from store/source") == 3
    wanted = by_skopeo(world.registry("store/source:1"), tmp_path / "wanted")
    assert by_skopeo(world.registry("store/target:2"), tmp_path / "found") == wanted
    assert digestfile.read_text() == str(world.image.instances["amd64"])
    said = root.atomic("push", "--json", name)
    assert json.loads(said[: said.rindex("}") + 1])["blobs"] == 0
    root.atomic("copy", f"ostree:{name}", f"dir:{tmp_path}/dir")
    assert content(tmp_path / "dir") == wanted


def test_all_of_an_index_is_pushed(world: World, root: Root, tmp_path: Path) -> None:
    """From where the image was pulled; the index there may have moved on."""
    source = world.registry("push/source:1")
    root.atomic("copy", "--all", f"{world.layout}:multi", source)
    name = f"{world.host}/push/source:1"
    root.atomic("pull", name)
    root.atomic("push", "--all", name, f"{world.host}/push/target:1")
    wanted = by_skopeo(source, tmp_path / "wanted", "--all")
    assert by_skopeo(world.registry("push/target:1"), tmp_path / "found", "--all") == wanted
    root.atomic("push", "--all", name, f"oci:{tmp_path}/layout:1")
    assert by_skopeo(f"oci:{tmp_path}/layout:1", tmp_path / "layout-found", "--all") == wanted
    root.atomic("copy", f"{world.layout}:arm64", source)
    said = root.atomic("push", "--all", name, f"{world.host}/push/target:2", status=1)
    assert "any more" in said


def test_names_in_the_store(world: World, root: Root) -> None:
    root.atomic("copy", f"{world.layout}:amd64", "ostree:here:1")
    root.atomic("copy", "ostree:here:1", "ostree:there:2")
    listed = json.loads(root.atomic("images", "list", "--json"))
    assert sorted(f"{image['repo']}:{image['tag']}" for image in listed) == ["here:1", "there:2"]
    assert len({image["digest"] for image in listed}) == 1
    said = root.atomic("copy", "--all", f"{world.layout}:multi", "ostree:all:1", status=2)
    assert "one platform" in said
    kept = ("--remove-signatures", f"{world.layout}:multi", "ostree:all:1")
    assert "keeps signatures" in root.atomic("copy", *kept, status=2)
    same = f"dir:{root.path}/x"
    assert "to itself" in root.atomic("copy", same, f"{same}/../x", status=2)
    said = root.atomic("push", "here:1", status=2)
    assert "HOST/here:1" in said


def test_a_source_that_is_gone(world: World, root: Root, tmp_path: Path) -> None:
    moved = indexed_layout(tmp_path / "layout").path
    root.atomic("copy", f"oci:{moved}:amd64", "ostree:here:1")
    moved.rename(tmp_path / "elsewhere")
    said = root.atomic("push", "here:1", f"dir:{tmp_path}/dir", status=1)
    errors = [line for line in said.splitlines() if not line.startswith(("Copying", "Writing"))]
    assert len(errors) == 2
    assert "cannot be had again" in errors[0]
    assert errors[1].startswith("hint: ")
    assert not (tmp_path / "dir/manifest.json").exists()
    root.atomic("copy", f"{world.layout}:amd64", world.registry("gone/copy:1"))
    root.atomic("push", "here:1", f"{world.host}/gone/copy:2")  # it has the layers already


def test_index_only(world: World, root: Root) -> None:
    for architecture in world.image.instances:
        digest = world.image.instances[architecture]
        root.atomic(
            "copy", f"{world.layout}:{architecture}", world.registry(f"index/only@{digest}")
        )
    target = world.registry("index/only:1")
    root.atomic("copy", "--multi-arch=index-only", f"{world.layout}:multi", target)
    assert raw(target) == raw(f"{world.layout}:multi")
    said = root.atomic("copy", "--multi-arch=index-only", f"{world.layout}:amd64", target, status=1)
    assert "no index" in said
    root.atomic("copy", "--all", "--multi-arch=system", f"{world.layout}:multi", target, status=2)


def test_tls_and_password(world: World, root: Root, tmp_path: Path) -> None:
    certificate = make_certificate(tmp_path / "both.pem")
    with docker_registry(tmp_path, Door.BASIC, certificate=certificate) as host:
        target = f"docker://{host}/a/b:1"
        source = f"{world.layout}:multi"
        assert "certificate" in root.atomic("copy", "--dest-creds", LOGIN, source, target, status=1)
        root.atomic("copy", "--dest-creds", LOGIN, "--dest-tls-verify=false", source, target)
        certs = root.path / f"etc/containers/certs.d/{host}"
        certs.mkdir(parents=True)
        (certs / "ca.crt").write_bytes(certificate.with_suffix(".crt").read_bytes())
        said = root.atomic("copy", source, target, status=1)
        assert "user name and password" in said
        assert f"hint: atomic login {host}" in said
        root.atomic("copy", "--dest-creds", "tester:wrong", source, target, status=1)
        root.atomic("copy", "--all", "--dest-creds", LOGIN, source, target)
        found = by_skopeo(target, tmp_path / "found", "--all", f"--src-creds={LOGIN}")
        assert found == by_skopeo(source, tmp_path / "wanted", "--all")
        root.atomic("copy", "--src-creds", LOGIN, target, "ostree:back:1")
        user, _, password = LOGIN.partition(":")
        again = f"{host}/a/again:1"
        root.atomic("push", "-u", user, "-p", password, "--src-creds", LOGIN, "back:1", again)
        root.atomic("push", "--anonymous", "back:1", again, status=1)
