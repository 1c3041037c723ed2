# SPDX-License-Identifier: LGPL-2.1-or-later
"""Layouts: tags, versions, and files that are not what they should be."""

import json
import os
from pathlib import Path

import pytest

from atomic_sys.image.layout import INDEX_LIMIT, InvalidLayout, LayoutOrigin
from atomic_sys.model.digest import Digest
from atomic_sys.model.manifest import OCI_MANIFEST, Descriptor
from atomic_sys.model.source import LayoutSource
from atomic_sys.model.stream import ContentMismatch, TooLarge

MANIFEST = b'{"schemaVersion": 2}'
TAG = "org.opencontainers.image.ref.name"


def entry(tag: str | None, content: bytes = MANIFEST, size: int | None = None) -> dict[str, object]:
    return {
        "mediaType": OCI_MANIFEST,
        "digest": str(Digest.of(content)),
        "size": len(content) if size is None else size,
        "annotations": {} if tag is None else {TAG: tag},
    }


@pytest.fixture
def layout(tmp_path: Path) -> Path:
    (tmp_path / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    (tmp_path / "blobs/sha256").mkdir(parents=True)
    blob(tmp_path).write_bytes(MANIFEST)
    index(tmp_path, entry("1"), entry("2"))
    return tmp_path


def index(layout: Path, *entries: dict[str, object]) -> None:
    body = {"schemaVersion": 2, "manifests": entries}
    (layout / "index.json").write_text(json.dumps(body))


def blob(layout: Path) -> Path:
    return layout / "blobs/sha256" / Digest.of(MANIFEST).hex


def origin(layout: Path, tag: str | None = "1") -> LayoutOrigin:
    return LayoutOrigin(LayoutSource(path=str(layout), tag=tag))


def test_manifest(layout: Path) -> None:
    manifest = origin(layout).manifest(None)
    assert (manifest.raw, manifest.digest) == (MANIFEST, Digest.of(MANIFEST))
    assert manifest.content_type == OCI_MANIFEST
    assert origin(layout).manifest(Digest.of(MANIFEST)).raw == MANIFEST
    assert origin(layout).description == f"oci:{layout}:1"


def test_the_only_one_needs_no_tag(layout: Path) -> None:
    index(layout, entry(None))
    assert origin(layout, None).manifest(None).raw == MANIFEST


@pytest.mark.parametrize(
    ("tag", "entries", "message"),
    [
        ("3", [entry("1"), entry("2"), entry(None)], r"no such tag; there is: \(no tag\), 1, 2"),
        (None, [entry("1"), entry("2")], "which image\\? there is: 1, 2"),
        (None, [], "empty"),
        ("1", [entry("1"), entry("1")], "2 images with this tag"),
        ("1", [entry("1", size=5)], "20 bytes, the index says 5"),
        ("1", [entry("1", b"missing")], "blob sha256:.*: No such file"),
    ],
)
def test_bad_indexes(
    layout: Path, tag: str | None, entries: list[dict[str, object]], message: str
) -> None:
    index(layout, *entries)
    with pytest.raises(InvalidLayout, match=message):
        origin(layout, tag).manifest(None)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("oci-layout", None, "oci-layout: No such file"),
        ("oci-layout", b'{"imageLayoutVersion": "2.0.0"}', "version '2.0.0'"),
        ("oci-layout", b"{}", "version None"),
        ("index.json", None, "index.json: No such file"),
        (
            "index.json",
            b'{"schemaVersion":2,"layers":[],"config":{"mediaType":"x","size":1,"digest":"sha256:%s"}}'
            % (b"0" * 64),
            "not an index",
        ),
    ],
)
def test_bad_files(layout: Path, name: str, content: bytes | None, message: str) -> None:
    (layout / name).unlink()
    if content is not None:
        (layout / name).write_bytes(content)
    with pytest.raises(InvalidLayout, match=message):
        origin(layout).manifest(None)


def test_limits(layout: Path) -> None:
    (layout / "index.json").write_bytes(b" " * (INDEX_LIMIT + 1))
    with pytest.raises(TooLarge, match=r"index\.json"):
        origin(layout).manifest(None)


def test_no_directory(tmp_path: Path) -> None:
    with pytest.raises(InvalidLayout, match="No such file"):
        origin(tmp_path / "gone").manifest(None)


@pytest.mark.parametrize("victim", ["oci-layout", "index.json", "blob", "blobs", "blobs/sha256"])
def test_no_link_is_followed(layout: Path, victim: str) -> None:
    path = blob(layout) if victim == "blob" else layout / victim
    elsewhere = layout / "elsewhere"
    path.rename(elsewhere)
    path.symlink_to(elsewhere)
    with pytest.raises(InvalidLayout):
        origin(layout).manifest(None)


@pytest.mark.parametrize("victim", ["oci-layout", "index.json", "blob"])
@pytest.mark.parametrize("kind", ["fifo", "directory"])
def test_only_regular_files_are_read(layout: Path, victim: str, kind: str) -> None:
    path = blob(layout) if victim == "blob" else layout / victim
    path.unlink()
    if kind == "fifo":
        os.mkfifo(path)
    else:
        path.mkdir()
    with pytest.raises(InvalidLayout, match="not a regular file"):
        origin(layout).manifest(None)


@pytest.mark.parametrize("content", [b"", MANIFEST[:-1], MANIFEST + b" ", b"x" + MANIFEST[1:]])
def test_other_content(layout: Path, content: bytes) -> None:
    blob(layout).write_bytes(content)
    digest = Digest.of(MANIFEST)
    with pytest.raises(ContentMismatch):
        origin(layout).manifest(digest)
    with pytest.raises((ContentMismatch, InvalidLayout)):
        origin(layout).manifest(None)
    promise = Descriptor(media_type="x", digest=digest, size=len(MANIFEST), annotations={})
    with pytest.raises(ContentMismatch):
        list(origin(layout).blob(promise))


def test_blob(layout: Path) -> None:
    content = os.urandom(1_000_000)
    digest = Digest.of(content)
    (layout / "blobs/sha256" / digest.hex).write_bytes(content)
    promise = Descriptor(media_type="x", digest=digest, size=len(content), annotations={})
    assert b"".join(origin(layout).blob(promise)) == content
