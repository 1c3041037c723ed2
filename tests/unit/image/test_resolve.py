# SPDX-License-Identifier: LGPL-2.1-or-later
"""Through indexes to the image for this host, each document asked for once."""

import json
from collections.abc import Generator
from typing import Any

import pytest

from atomic_sys.image import resolve as resolving
from atomic_sys.image.origin import RawManifest
from atomic_sys.image.resolve import MAX_NESTING, expand, fetch, resolve
from atomic_sys.model.digest import Digest
from atomic_sys.model.manifest import (
    DOCKER_MANIFEST,
    OCI_INDEX,
    OCI_MANIFEST,
    Descriptor,
    InvalidManifest,
)
from atomic_sys.model.platform import Platform
from atomic_sys.model.stream import ContentMismatch

AMD64 = Platform(os="linux", architecture="amd64")
ARM = Platform(os="linux", architecture="arm", variant="v7")


class MemoryOrigin:
    """An origin whose documents are in memory; the last one added is the one it names."""

    description = "memory"

    def __init__(self) -> None:
        self.documents: dict[Digest, tuple[bytes, str | None]] = {}
        self.named: Digest | None = None
        self.asked: list[Digest | None] = []

    def add(self, body: object, content_type: str | None = None) -> dict[str, Any]:
        raw = json.dumps(body).encode()
        self.named = Digest.of(raw)
        self.documents[self.named] = (raw, content_type)
        return {"mediaType": content_type, "digest": str(self.named), "size": len(raw)}

    def manifest(self, digest: Digest | None) -> RawManifest:
        self.asked.append(digest)
        wanted = digest or self.named
        assert wanted is not None
        raw, content_type = self.documents[wanted]
        return RawManifest.checked(raw, expected=digest, content_type=content_type)

    def blob(self, descriptor: Descriptor) -> Generator[bytes, None, None]:
        raise NotImplementedError


def image(origin: MemoryOrigin, comment: str, media_type: str = OCI_MANIFEST) -> dict[str, Any]:
    config = {"mediaType": "x", "digest": f"sha256:{'0' * 64}", "size": 1}
    body = {"schemaVersion": 2, "mediaType": media_type, "config": config, "layers": []}
    return origin.add(body | {"annotations": {"comment": comment}}, media_type)


def index(origin: MemoryOrigin, *entries: dict[str, Any]) -> dict[str, Any]:
    return origin.add({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries}, OCI_INDEX)


def on(entry: dict[str, Any], platform: Platform) -> dict[str, Any]:
    parts = {"os": platform.os, "architecture": platform.architecture, "variant": platform.variant}
    return entry | {"platform": parts}


def test_a_manifest() -> None:
    origin = MemoryOrigin()
    image(origin, "only", DOCKER_MANIFEST)
    found = resolve(origin, AMD64)
    assert found.index is None
    assert found.manifest.media_type == DOCKER_MANIFEST
    assert origin.asked == [None]


def test_an_index() -> None:
    origin = MemoryOrigin()
    entries = [on(image(origin, str(p)), p) for p in (ARM, AMD64)]
    outer = index(origin, *entries)
    for platform, entry in zip((ARM, AMD64), entries, strict=True):
        origin.asked.clear()
        found = resolve(origin, platform)
        assert str(found.raw.digest) == entry["digest"]
        assert found.index is not None
        assert str(found.index.digest) == outer["digest"]
        assert origin.asked == [None, found.raw.digest]
    with pytest.raises(InvalidManifest, match="no image for linux/s390x"):
        resolve(origin, Platform(os="linux", architecture="s390x"))


def test_nesting() -> None:
    origin = MemoryOrigin()
    entry = image(origin, "deep")
    for _ in range(MAX_NESTING):
        outer = entry = index(origin, on(entry, AMD64))
    found = resolve(origin, AMD64)
    assert found.index is not None
    assert str(found.index.digest) == outer["digest"], "the outermost one"
    index(origin, on(entry, AMD64))
    with pytest.raises(InvalidManifest, match="nested"):
        resolve(origin, AMD64)


def test_everything() -> None:
    """Each once, and what is named before who names it."""
    origin = MemoryOrigin()
    one, two = image(origin, "one"), image(origin, "two")
    inner = index(origin, on(one, AMD64), on(two, ARM))
    index(origin, on(two, ARM), inner, on(one, AMD64))
    top = fetch(origin)
    digests = [str(document.raw.digest) for document in expand(origin, top)]
    assert digests == [two["digest"], one["digest"], inner["digest"], str(top.raw.digest)]


def test_too_much_of_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    origin = MemoryOrigin()
    entry = image(origin, "deep")
    for _ in range(MAX_NESTING):
        entry = index(origin, entry)
    assert len(expand(origin, fetch(origin))) == MAX_NESTING + 1
    index(origin, entry)
    with pytest.raises(InvalidManifest, match="nested"):
        expand(origin, fetch(origin))
    index(origin, image(origin, "a"), image(origin, "b"))
    monkeypatch.setattr(resolving, "MAX_DOCUMENTS", 2)
    with pytest.raises(InvalidManifest, match="more than 2"):
        expand(origin, fetch(origin))


@pytest.mark.parametrize(
    ("lie", "error"),
    [
        ({"size": 5}, ContentMismatch),
        ({"mediaType": DOCKER_MANIFEST}, InvalidManifest),
        ({"mediaType": OCI_INDEX}, InvalidManifest),
    ],
)
def test_an_index_that_lies(lie: dict[str, Any], error: type[Exception]) -> None:
    origin = MemoryOrigin()
    index(origin, on(image(origin, "x"), AMD64) | lie)
    with pytest.raises(error):
        resolve(origin, AMD64)
    with pytest.raises(error):
        expand(origin, fetch(origin))
