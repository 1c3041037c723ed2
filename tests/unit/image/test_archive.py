# SPDX-License-Identifier: LGPL-2.1-or-later
"""Archives of images: links, hostile names, and the manifest that is made for `docker save`."""

import gzip
import json
import os
from pathlib import Path

import pytest

from atomic_sys.errors import AtomicSysError
from atomic_sys.image import archive as module
from atomic_sys.image.archive import ArchiveFiles, InvalidArchive
from atomic_sys.image.dir_image import DirectoryOrigin, InvalidDirectory
from atomic_sys.image.docker_archive import DockerArchiveOrigin, InvalidDockerArchive
from atomic_sys.image.files import InvalidFile
from atomic_sys.image.layout import InvalidLayout, LayoutOrigin
from atomic_sys.model import manifest as documents
from atomic_sys.model.digest import Digest
from atomic_sys.model.manifest import Descriptor, Manifest
from atomic_sys.model.reference import DockerReference
from atomic_sys.model.source import DirectorySource, DockerArchiveSource, LayoutArchiveSource
from atomic_sys.model.stream import ContentMismatch, TooLarge
from tests.support.archives import END, archive, header, padded

LAYER = archive(("file", "a", "content"))
OTHER = archive(("file", "b", "other"))
CONFIG = json.dumps({
    "rootfs": {"type": "layers", "diff_ids": [str(Digest.of(LAYER)), str(Digest.of(OTHER))]}
}).encode()


def write(tmp_path: Path, content: bytes) -> str:
    path = tmp_path / "image.tar"
    path.write_bytes(content)
    return str(path)


def read(files: ArchiveFiles, *path: str) -> bytes:
    with files.open(*path) as stream:
        return b"".join(iter(lambda: stream.read(7), b""))


def test_members(tmp_path: Path) -> None:
    big = os.urandom(100_000)
    content = archive(
        ("directory", "./"),
        ("file", "./d/big", big),
        ("file", "empty", ""),
        ("symlink", "d/link", "../d/./big"),
        ("symlink", "again", "d/link"),
        ("hard link", "hard", "./d/big"),
        ("file", "n" * 300, "long"),
    )
    files = ArchiveFiles(write(tmp_path, content))
    for path in (("d", "big"), ("d", "link"), ("again",), ("hard",)):
        assert read(files, *path) == big
    assert read(files, "empty") == b""
    assert read(files, "n" * 300) == b"long"
    assert files.size("again") == len(big)


@pytest.mark.parametrize(
    ("name", "target"),
    [
        ("l", "../../etc/passwd"),
        ("l", "/etc/passwd"),
        ("l", "missing"),
        ("l", "l"),
        ("l", "directory"),
        ("d/l", "../../f"),
    ],
)
@pytest.mark.parametrize("kind", ["symlink", "hard link"])
def test_links_stay_inside(tmp_path: Path, kind: str, name: str, target: str) -> None:
    content = archive(("file", "f", "x"), ("directory", "directory"), (kind, name, target))
    with pytest.raises(InvalidFile, match="not a regular file of the archive"):
        read(ArchiveFiles(write(tmp_path, content)), *name.split("/"))


def member(name: bytes, content: bytes = b"x") -> bytes:
    return header(name, size=len(content)) + padded(content)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (member(b"../f") + END, "has the name '../f'"),
        (member(b"a/../../f") + END, "has the name"),
        (member(b"/f") + END, "has the name '/f'"),
        (member(b"./") + END, "has the name"),
        (member(b"f") + member(b"f") + END, "'f' is there twice"),
        (member(b"f") + member(b"./f") + END, "'f' is there twice"),
        (archive(("file", "f"), ("fifo", "p")), "neither a file nor a link"),
        (archive(("file", "f"), ("char", "p")), "neither a file nor a link"),
        (header(b"f", size=1 << 20) + b"x", "cut off"),
        (header(b"f", flag=b"S") + END, "sparse"),
        (member(b"f") + END + b"x" * 512, "after the end"),
        (b"x" * 1024, "checksum"),
        (b"", "empty archive"),
        (END, "empty archive"),
        (gzip.compress(member(b"f") + END, mtime=0), "compressed by gzip"),
    ],
)
def test_refused(tmp_path: Path, content: bytes, message: str) -> None:
    with pytest.raises(InvalidArchive, match=message):
        read(ArchiveFiles(write(tmp_path, content)), "f")


def test_too_many_members(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_MEMBERS", 1)
    path = write(tmp_path, archive(("file", "a"), ("file", "b")))
    with pytest.raises(InvalidArchive, match="more than 1 members"):
        read(ArchiveFiles(path), "a")


def test_only_a_regular_file_is_an_archive(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    for path in (tmp_path / "fifo", tmp_path):
        with pytest.raises(InvalidFile, match="not a regular file"):
            read(ArchiveFiles(str(path)), "f")
    with pytest.raises(InvalidFile, match="No such file"):
        read(ArchiveFiles(str(tmp_path / "gone")), "f")


def listing(**over: object) -> dict[str, object]:
    return {
        "Config": "c.json",
        "RepoTags": ["h.io/a:1"],
        "Layers": ["l1/layer.tar", "l2.tar"],
    } | over


def docker(tmp_path: Path, *images: object, layer: bytes = LAYER) -> DockerArchiveSource:
    content = archive(
        ("file", "l1/layer.tar", layer),
        ("file", "real.tar", OTHER),
        ("symlink", "l2.tar", "real.tar"),
        ("file", "c.json", CONFIG),
        ("file", "manifest.json", json.dumps(images)),
    )
    return DockerArchiveSource(path=write(tmp_path, content), reference=None)


@pytest.mark.parametrize("layer", [LAYER, gzip.compress(LAYER)], ids=["plain", "gzip"])
def test_docker_archive(tmp_path: Path, layer: bytes) -> None:
    origin = DockerArchiveOrigin(docker(tmp_path, listing(), layer=layer))
    raw = origin.manifest(None)
    image = documents.parse(raw.raw, content_type=raw.content_type)
    assert isinstance(image, Manifest)
    assert b"".join(origin.blob(image.config)) == CONFIG
    assert image.config.digest == Digest.of(CONFIG)
    assert [b"".join(origin.blob(layer)) for layer in image.layers] == [LAYER, OTHER]
    assert [layer.size for layer in image.layers] == [len(LAYER), len(OTHER)]
    assert origin.manifest(Digest.of(raw.raw)).raw == raw.raw
    with pytest.raises(ContentMismatch):
        origin.manifest(Digest.of(b""))
    with pytest.raises(InvalidDockerArchive, match="no blob"):
        list(origin.blob(Descriptor(media_type="x", digest=Digest.of(b""), size=0, annotations={})))


def test_another_layer_is_found_out(tmp_path: Path) -> None:
    origin = DockerArchiveOrigin(docker(tmp_path, listing(), layer=OTHER))
    image = documents.parse(origin.manifest(None).raw)
    assert isinstance(image, Manifest)
    with pytest.raises(ContentMismatch):
        list(origin.blob(image.layers[0]))


def test_which_image(tmp_path: Path) -> None:
    source = docker(tmp_path, listing(), listing(RepoTags=["b", "h.io/b:2"]))
    for name in ("h.io/a:1", "b", "docker.io/library/b:latest", "h.io/b:2"):
        reference = DockerReference.parse(name).with_default_tag()
        named = DockerArchiveSource(path=source.path, reference=reference)
        assert DockerArchiveOrigin(named).manifest(None)
    with pytest.raises(InvalidDockerArchive, match=r"2 images; there is: b, h\.io/a:1, h\.io/b:2"):
        DockerArchiveOrigin(source).manifest(None)
    missing = DockerArchiveSource(path=source.path, reference=DockerReference.parse("h.io/c:1"))
    with pytest.raises(InvalidDockerArchive, match="0 images of this name"):
        DockerArchiveOrigin(missing).manifest(None)


@pytest.mark.parametrize(
    "image",
    [
        listing(Config="missing.json"),
        listing(Config=1),
        listing(Layers=["l1/layer.tar"]),
        listing(Layers=["l1/layer.tar", "l1"]),
        listing(Layers="l2.tar"),
        [],
        None,
    ],
)
def test_bad_docker_archives(tmp_path: Path, image: object) -> None:
    with pytest.raises(AtomicSysError):
        DockerArchiveOrigin(docker(tmp_path, image)).manifest(None)


@pytest.mark.parametrize("name", ["../c.json", "/c.json", "./c.json", "", "a//c.json", ".."])
def test_names_of_a_docker_archive(tmp_path: Path, name: str) -> None:
    for image in (listing(Config=name), listing(Layers=["l2.tar", name])):
        with pytest.raises(InvalidDockerArchive, match="names the file"):
            DockerArchiveOrigin(docker(tmp_path, image)).manifest(None)


def test_documents_have_limits(tmp_path: Path) -> None:
    content = archive(("file", "manifest.json", b" " * ((4 << 20) + 1)))
    source = DockerArchiveSource(path=write(tmp_path, content), reference=None)
    with pytest.raises(TooLarge, match=r"manifest\.json"):
        DockerArchiveOrigin(source).manifest(None)


def test_layout_in_an_archive(tmp_path: Path) -> None:
    raw = b'{"schemaVersion": 2}'
    digest = Digest.of(raw)
    entry = {"mediaType": documents.OCI_MANIFEST, "digest": str(digest), "size": len(raw)}
    content = archive(
        ("file", "oci-layout", '{"imageLayoutVersion": "1.0.0"}'),
        ("file", "index.json", json.dumps({"schemaVersion": 2, "manifests": [entry]})),
        ("file", f"./blobs/sha256/{digest.hex}", raw),
    )
    path = write(tmp_path, content)
    origin = LayoutOrigin(LayoutArchiveSource(path=path, tag=None))
    assert origin.manifest(None).raw == raw
    promise = Descriptor(media_type="x", digest=digest, size=len(raw), annotations={})
    assert b"".join(origin.blob(promise)) == raw
    with pytest.raises(InvalidLayout, match=rf"oci-archive:{path}:2: no such tag"):
        LayoutOrigin(LayoutArchiveSource(path=path, tag="2")).manifest(None)


def test_directory(tmp_path: Path) -> None:
    origin = DirectoryOrigin(DirectorySource(path=str(tmp_path)))
    with pytest.raises(InvalidDirectory, match="version: No such file"):
        origin.manifest(None)
    (tmp_path / "version").write_text("Directory Transport Version: 2.0\n")
    with pytest.raises(InvalidDirectory, match="unknown version"):
        origin.manifest(None)
    (tmp_path / "version").write_text("Directory Transport Version: 1.1\n")
    (tmp_path / "manifest.json").write_bytes(b"outer")
    inner = Digest.of(b"inner")
    (tmp_path / f"{inner.hex}.manifest.json").write_bytes(b"inner")
    assert origin.manifest(None).raw == b"outer"
    assert origin.manifest(inner).raw == b"inner"
    (tmp_path / inner.hex).write_bytes(b"inneR")
    with pytest.raises(ContentMismatch):
        list(origin.blob(Descriptor(media_type="x", digest=inner, size=5, annotations={})))
    (tmp_path / inner.hex).unlink()
    (tmp_path / inner.hex).symlink_to("version")
    with pytest.raises(InvalidDirectory):
        list(origin.blob(Descriptor(media_type="x", digest=inner, size=5, annotations={})))
