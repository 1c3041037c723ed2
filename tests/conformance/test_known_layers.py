# SPDX-License-Identifier: LGPL-2.1-or-later
"""A layer whose diff id is known is not fetched, however it is packed this time."""

import gzip
import json
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import zstandard

from atomic_sys.model.digest import Digest
from atomic_sys.store.images import LayerImport
from tests.support import layers
from tests.support.places import Place

pytestmark = pytest.mark.conformance
CONTENTS = [
    [layers.file("etc/conf", b"1"), layers.file("deep/er/file", b"2"), layers.file("gone", b"3")],
    [layers.file(".wh.gone"), layers.hard_link("etc/again", "etc/conf")],
]
Pack = Callable[[bytes], bytes]


def write(path: Path, pack: Pack, *contents: list[layers.Member]) -> list[Path]:
    """A layout whose layers are packed so; the files of the layers."""
    tars = [layers.archive(members) for members in contents]
    blobs = [pack(tar) for tar in tars]
    imports = [
        LayerImport(digest=Digest.of(blob), diff_id=Digest.of(tar), compressed_size=len(blob))
        for tar, blob in zip(tars, blobs, strict=True)
    ]
    layers.write_layout(path, layers.image("x", imports), blobs)
    return [path / "blobs/sha256" / Digest.of(blob).hex for blob in blobs]


@pytest.fixture
def place() -> Iterator[Place]:
    """A root that has the image `plain`, with layers that are not packed at all."""
    with tempfile.TemporaryDirectory(dir="/dev/shm", prefix="known-test.") as top:
        made = Place.make(Path(top, "root"))
        write(Path(top, "plain"), bytes, *CONTENTS)
        made.atomic("pull", f"oci:{top}/plain")
        yield made


@pytest.mark.parametrize("pack", [gzip.compress, zstandard.ZstdCompressor().compress])
def test_nothing_is_fetched(place: Place, pack: Pack) -> None:
    top = place.root.parent
    for blob in write(top / "packed", pack, *CONTENTS):
        blob.unlink()  # whoever wants it would fail
    before = place.checked_out("plain:latest")
    said, _ = place.atomic("pull", f"oci:{top}/packed")
    assert "Pulling layer" not in said
    place.check()
    rows = json.loads(place.atomic("images", "list", "--json")[0])
    assert len({row["virtual_size"] for row in rows}) == 2
    assert place.checked_out("packed:latest") == before
    place.atomic("images", "delete", "plain:latest")
    place.atomic("images", "prune")
    place.check()
    assert place.checked_out("packed:latest") == before
    assert "deep" in before
    place.atomic(
        "images", "save", "--format=docker-archive", "-o", top / "saved.tar", "packed:latest"
    )
    assert Path(top, "saved.tar").stat().st_size > sum(len(layers.archive(c)) for c in CONTENTS)


def test_only_what_is_known(place: Place) -> None:
    top = place.root.parent
    known, new = write(top / "mixed", gzip.compress, CONTENTS[0], [layers.file("new", b"new")])
    known.unlink()
    said, _ = place.atomic("pull", f"oci:{top}/mixed")
    assert said.count("Pulling layer") == 1
    assert f"Pulling layer sha256:{new.name}" in said
    place.check()
    assert set(place.checked_out("mixed:latest")) > {"new", "etc/conf"}


def test_what_is_damaged_is_fetched(place: Place) -> None:
    top = place.root.parent
    for ref in place.ostree("refs").split():
        if ref.startswith("ociimage/") and len(ref) > 64:
            name = (place.repository / "refs/heads" / ref).read_text().strip()
            path = place.repository / f"objects/{name[:2]}/{name[2:]}.commit"
            path.write_bytes(path.read_bytes()[:-1] + b"x")
    write(top / "packed", gzip.compress, *CONTENTS)
    said, _ = place.atomic("pull", f"oci:{top}/packed")
    assert said.count("Pulling layer") == 2
    assert set(place.checked_out("packed:latest")) > {"etc/again", "deep/er/file"}
