# SPDX-License-Identifier: LGPL-2.1-or-later
"""How files are made: what open(2) does, and what it takes besides."""

import hashlib
import os
import tracemalloc
from pathlib import Path

import pytest

from atomic_sys.model.layer import Metadata
from atomic_sys.store.objects import file_header
from atomic_sys.store.recipes import Recipes
from atomic_sys.store.repository import Mode

OWN = os.geteuid(), os.getegid()
WITH_ATTRIBUTE = Metadata(*OWN, 0o644, ((b"user.a", b"b"),))


@pytest.fixture
def recipes() -> Recipes:
    before = os.umask(0o022)
    try:
        return Recipes(Mode.BARE)
    finally:
        os.umask(before)


@pytest.mark.parametrize(
    ("metadata", "mode", "is_whole"),
    [
        (Metadata(*OWN, 0o644), 0o644, True),
        (Metadata(*OWN, 0o1700), 0o1700, True),
        (Metadata(*OWN, 0o664), 0o644, False),
        (Metadata(*OWN, 0o4755), 0o755, False),
        (Metadata(*OWN, 0o2755), 0o755, False),
        (Metadata(OWN[0] + 1, OWN[1], 0o644), 0o644, False),
        (Metadata(OWN[0], OWN[1] + 1, 0o644), 0o644, False),
        (WITH_ATTRIBUTE, 0o644, False),
    ],
)
def test_what_open_does(recipes: Recipes, metadata: Metadata, mode: int, *, is_whole: bool) -> None:
    recipe = recipes.of(metadata)
    assert (recipe.mode, recipe.is_whole) == (mode, is_whole)
    assert recipe.begun.digest() == hashlib.sha256(file_header(metadata)).digest()


def test_a_directory_with_its_own_idea(recipes: Recipes, tmp_path: Path) -> None:
    metadata = Metadata(*OWN, 0o644)
    (tmp_path / "f").touch()
    (tmp_path / "f").chmod(0o640)
    with open(tmp_path / "f", "rb") as file:
        recipes.check(file.fileno(), recipes.of(metadata))
    assert not recipes.of(metadata).is_whole
    assert recipes.of(metadata).mode == 0


def test_a_user_store_keeps_the_metadata_elsewhere() -> None:
    assert not Recipes(Mode.BARE_USER).of(Metadata(*OWN, 0o644)).is_whole


def test_large_attributes_are_not_kept(recipes: Recipes) -> None:
    """A layer can bring a megabyte of them with each file, and be a few kilobytes itself."""
    tracemalloc.start()
    try:
        for number in range(50):
            recipes.of(Metadata(0, 0, 0o644, ((b"user.a", b"%d" % number + bytes(65_000)),)))
        assert tracemalloc.get_traced_memory()[0] < 500_000
    finally:
        tracemalloc.stop()
