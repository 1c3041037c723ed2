# SPDX-License-Identifier: LGPL-2.1-or-later
"""Images written to layouts and to `dir:`, and read again from there."""

import fcntl
import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from atomic_sys.image.dir_destination import DirectoryDestination
from atomic_sys.image.dir_image import DirectoryOrigin, InvalidDirectory
from atomic_sys.image.layout import TAG, InvalidLayout, LayoutOrigin
from atomic_sys.image.layout_destination import LayoutDestination
from atomic_sys.image.origin import RawManifest
from atomic_sys.model.digest import Digest
from atomic_sys.model.manifest import OCI_MANIFEST, Descriptor
from atomic_sys.model.source import DirectorySource, LayoutSource
from atomic_sys.model.stream import ContentMismatch
from atomic_sys.model.strict_json import InvalidJson

BLOB = b"content" * 1000
PROMISE = Descriptor(media_type="x", digest=Digest.of(BLOB), size=len(BLOB), annotations={})


def manifest(number: int) -> RawManifest:
    raw = json.dumps({"schemaVersion": 2, "annotations": {"n": str(number)}}).encode()
    return RawManifest(raw=raw, digest=Digest.of(raw), content_type=OCI_MANIFEST)


def liar() -> Iterator[bytes]:
    yield b"con"
    raise ContentMismatch("not what was promised")


def layout(path: Path, tag: str | None = "1") -> LayoutDestination:
    return LayoutDestination(LayoutSource(path=str(path), tag=tag))


def entries(path: Path) -> dict[str | None, str]:
    index = json.loads((path / "index.json").read_bytes())
    return {e.get("annotations", {}).get(TAG): e["digest"] for e in index["manifests"]}


def test_layout(tmp_path: Path) -> None:
    path = tmp_path / "new/layout"
    with layout(path) as place:
        assert not place.has_blob(PROMISE)
        place.put_blob(PROMISE, [BLOB[:10], BLOB[10:]])
        assert place.has_blob(PROMISE)
        assert not (path / "index.json").exists(), "nothing is named before the end"
        place.put_manifest(manifest(2))
        place.finish(manifest(1))
    origin = LayoutOrigin(LayoutSource(path=str(path), tag="1"))
    assert origin.manifest(None).raw == manifest(1).raw
    assert origin.manifest(manifest(2).digest).raw == manifest(2).raw
    assert b"".join(origin.blob(PROMISE)) == BLOB
    assert sorted(os.listdir(path)) == ["blobs", "index.json", "oci-layout"]


def test_other_images_of_a_layout_stay(tmp_path: Path) -> None:
    for tag, number in (("1", 1), ("2", 2), (None, 3), (None, 3), ("1", 4)):
        layout(tmp_path, tag).finish(manifest(number))
    assert entries(tmp_path) == {
        "2": str(manifest(2).digest),
        None: str(manifest(3).digest),
        "1": str(manifest(4).digest),
    }
    index = json.loads((tmp_path / "index.json").read_bytes())
    assert len(index["manifests"]) == 3, "and the former image of a tag has gone"
    index["annotations"] = {"theirs": "ä"}
    index["manifests"][0]["platform"] = {"os": "linux", "architecture": "arm"}
    (tmp_path / "index.json").write_text(json.dumps(index))
    layout(tmp_path, "5").finish(manifest(5))
    after = json.loads((tmp_path / "index.json").read_bytes())
    assert after["annotations"] == {"theirs": "ä"}
    assert after["manifests"][:-1] == index["manifests"]


def test_layout_under_its_lock(tmp_path: Path) -> None:
    place = layout(tmp_path)
    fd = os.open(tmp_path, os.O_RDONLY)
    fcntl.flock(fd, fcntl.LOCK_EX)
    done = threading.Event()

    def finish() -> None:
        place.finish(manifest(1))
        done.set()

    thread = threading.Thread(target=finish)
    thread.start()
    assert not done.wait(0.2)
    assert not (tmp_path / "index.json").exists()
    os.close(fd)
    thread.join()
    assert done.is_set()


@pytest.mark.parametrize("count", [1, 8])
def test_layout_by_many(tmp_path: Path, count: int) -> None:
    places = [layout(tmp_path, str(number)) for number in range(count)]
    threads = [
        threading.Thread(target=place.finish, args=(manifest(number),))
        for number, place in enumerate(places)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(entries(tmp_path)) == count


def test_blob_that_breaks_off(tmp_path: Path) -> None:
    first, second = layout(tmp_path / "layout"), tmp_path / "dir"
    with pytest.raises(ContentMismatch):
        first.put_blob(PROMISE, liar())
    assert not first.has_blob(PROMISE)
    assert not list((tmp_path / "layout/blobs/sha256").iterdir())
    directory = DirectoryDestination(DirectorySource(path=str(second)))
    with pytest.raises(ContentMismatch):
        directory.put_blob(PROMISE, liar())
    assert os.listdir(second) == ["version"]
    layout(tmp_path / "layout").finish(manifest(1))  # what failed can be tried again


def test_no_layout(tmp_path: Path) -> None:
    (tmp_path / "letter").touch()
    with pytest.raises(InvalidLayout, match="neither a layout nor empty"):
        layout(tmp_path)
    with pytest.raises(InvalidLayout, match=r"Not a directory|File exists"):
        layout(tmp_path / "letter")
    (tmp_path / "oci-layout").write_text('{"imageLayoutVersion": "9"}')
    with pytest.raises(InvalidLayout, match="version '9'"):
        layout(tmp_path)
    (tmp_path / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    (tmp_path / "index.json").write_text("{")
    with pytest.raises(InvalidJson):
        layout(tmp_path).finish(manifest(1))
    assert (tmp_path / "index.json").read_text() == "{"


def test_no_signatures_in_a_layout(tmp_path: Path) -> None:
    place = layout(tmp_path)
    place.put_signatures(PROMISE.digest, ())
    with pytest.raises(InvalidLayout, match="cannot hold signatures") as caught:
        place.put_signatures(PROMISE.digest, (b"x",))
    assert "--remove-signatures" in (caught.value.hint or "")


def test_directory(tmp_path: Path) -> None:
    path = tmp_path / "new/dir"
    source = DirectorySource(path=str(path))
    with DirectoryDestination(source) as place:
        place.put_signatures(manifest(1).digest, (b"a", b"b"))
        place.put_signatures(manifest(2).digest, (b"c",))
        place.put_blob(PROMISE, [BLOB])
        assert place.has_blob(PROMISE)
        place.put_manifest(manifest(2))
        assert not (path / "manifest.json").exists()
        place.finish(manifest(1))
    origin = DirectoryOrigin(source)
    assert origin.manifest(None).raw == manifest(1).raw
    assert origin.manifest(manifest(2).digest).raw == manifest(2).raw
    assert b"".join(origin.blob(PROMISE)) == BLOB
    signatures = {p.name: p.read_bytes() for p in path.glob("*signature-*")}
    instance = f"{manifest(2).digest.hex}.signature-1"
    assert signatures == {"signature-1": b"a", "signature-2": b"b", instance: b"c"}
    assert (path / "version").read_text() == "Directory Transport Version: 1.1\n"


def test_directory_is_used_again(tmp_path: Path) -> None:
    source = DirectorySource(path=str(tmp_path))
    for number in (1, 2):
        with DirectoryDestination(source) as place:
            assert not place.has_blob(PROMISE)
            place.put_signatures(manifest(number).digest, (b"x",) * (3 - number))
            place.finish(manifest(number))
    assert sorted(os.listdir(tmp_path)) == ["manifest.json", "signature-1", "version"]
    assert DirectoryOrigin(source).manifest(None).raw == manifest(2).raw


@pytest.mark.parametrize("version", [None, "Directory Transport Version: 2.0\n"])
def test_another_directory_is_not_emptied(tmp_path: Path, version: str | None) -> None:
    (tmp_path / "letter").write_text("dear")
    if version:
        (tmp_path / "version").write_text(version)
    with pytest.raises(InvalidDirectory, match="holds no image"):
        DirectoryDestination(DirectorySource(path=str(tmp_path)))
    assert (tmp_path / "letter").read_text() == "dear"
