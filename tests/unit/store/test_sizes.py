# SPDX-License-Identifier: LGPL-2.1-or-later
"""Shared and unique sizes: `prune` is the judge of what an image has for itself."""

import os
from pathlib import Path

import pytest

from atomic_sys.fs.atomic import temporary_name
from atomic_sys.model.reference import ImageName
from atomic_sys.store import sizes
from atomic_sys.store.sizes import Sizes, sizes_of
from atomic_sys.store.store import Store
from tests.support import layers
from tests.support.layers import Member

BASE = [layers.file("base", b"b" * 1000), layers.file("common", b"c" * 300)]
LEFT = [layers.file("left", b"l" * 70), layers.file("again", b"c" * 300)]
RIGHT = [layers.file("right", b"r" * 5000), layers.file("equal", b"e" * 20)]
OTHER = [layers.file("other", b"o" * 40000), layers.file("equal", b"e" * 20)]


def put(store: Store, name: str, *contents: list[Member]) -> None:
    imports = [layers.layer_import(members) for members in contents]
    for about, members in zip(imports, contents, strict=True):
        store.import_layer(about, layers.stream(members))
    store.put_image(layers.image(name, imports, (name.encode(),)))


@pytest.fixture
def filled(store: Store) -> Store:
    put(store, "left", BASE, LEFT)
    put(store, "right", BASE, RIGHT)
    put(store, "other", OTHER)
    return store


def by_name(store: Store) -> dict[str, Sizes]:
    images = store.images()
    found = sizes_of(store.repository, images)
    return {image.name.repository: found[image.digest] for image in images if image.digest in found}


def stored(top: Path) -> int:
    """The bytes of all content objects."""
    return sum(path.lstat().st_size for path in top.glob("repo/objects/*/*.file"))


def test_unique_is_what_prune_frees(filled: Store, tmp_path: Path) -> None:
    found = by_name(filled)
    assert found["right"].shared == 1000 + 300 + 20  # `equal` is in a layer of other's too
    assert found["other"].shared == 20
    for name in ("left", "right", "other"):
        before, unique = stored(tmp_path), by_name(filled)[name].unique
        filled.delete_image(ImageName.parse(name))
        filled.prune()
        assert before - stored(tmp_path) == unique
    assert by_name(filled) == {}


def test_another_name_changes_nothing(filled: Store) -> None:
    before = by_name(filled)
    image = filled.image(ImageName.parse("left"))
    assert image is not None
    filled.tag_image(image, ImageName.parse("alias"))
    assert by_name(filled) == before | {"alias": before["left"]}


def test_it_is_counted_once_for_each_state(
    filled: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = by_name(filled)
    monkeypatch.delattr(sizes, "_count")
    assert by_name(filled) == before
    (kept,) = tmp_path.glob("repo/extensions/atomic-sys/*")
    for damage in (b"", b"{", b'{"state": 1}', kept.read_bytes().replace(b"[", b"[1, ")):
        kept.write_bytes(damage)
        with pytest.raises(NameError):
            by_name(filled)
    monkeypatch.undo()
    assert by_name(filled) == before
    put(filled, "new", [layers.file("new", b"n")])
    assert by_name(filled)["new"].shared == 0


def test_what_is_missing_is_left_out_and_not_remembered(filled: Store, tmp_path: Path) -> None:
    whole = by_name(filled)
    put(filled, "new", LEFT)
    victim = next(p for p in tmp_path.glob("repo/objects/*/*.file") if p.lstat().st_size == 40000)
    content = victim.read_bytes()
    victim.unlink()
    assert set(by_name(filled)) == {"left", "right", "new"}
    victim.write_bytes(content)
    assert by_name(filled)["other"] == whole["other"]


def test_a_repository_that_cannot_be_written_to_still_counts(
    filled: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(30, os.strerror(30))

    monkeypatch.setattr(sizes, "write_file", refuse)
    assert len(by_name(filled)) == 3


def test_prune_takes_what_a_list_that_died_has_left(filled: Store, tmp_path: Path) -> None:
    by_name(filled)
    own = tmp_path / "repo/extensions/atomic-sys"
    (own / temporary_name("sizes.json")).touch()
    filled.prune()
    assert [path.name for path in own.iterdir()] == ["sizes.json"]
