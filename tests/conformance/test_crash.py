# SPDX-License-Identifier: LGPL-2.1-or-later
"""The real command dies before its N-th change of a file; the next one finds a whole store.

Each command is killed at some of its calls, spread evenly. With ATOMIC_SYS_CRASH=all in the
environment it is killed at every call of a small image and at forty of a larger one.
"""

import os
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

import atomic_sys
from tests.support import dying, layers
from tests.support.dying import Death
from tests.support.layers import Member
from tests.support.places import Place

pytestmark = pytest.mark.conformance
EVERY_CALL = os.environ.get("ATOMIC_SYS_CRASH") == "all"
LARGE_SAMPLE = 40
TOGETHER = 2  # commands that die at the same time
SMALL: list[list[Member]] = [
    [
        layers.directory("d", mode=0o750),
        layers.file("d/file", b"content"),
        layers.file("d/empty", b""),
        layers.symlink("link", "d/file"),
        layers.hard_link("hard", "d/file"),
    ]
]
OTHER: list[list[Member]] = [*SMALL, [layers.file("d/.wh.file"), layers.file("more", b"more")]]
LARGE: list[list[Member]] = [
    [layers.file(f"l{layer}/n{number}", b"%d" % (layer * number)) for number in range(150)]
    + [layers.file(f"l{layer}/large", bytes([layer]) * (3 << 20))]
    for layer in range(3)
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Deed:
    """A command, the state it finds, and how many of its calls are sampled."""

    prepare: Callable[[Place], None]
    argv: tuple[str, ...]
    sample: int
    calls: int | None = None  # None: all there are
    images: frozenset[str]
    wrong_before: bool = False  # the store is damaged when the command starts
    repeatable: bool = True


def nothing(_: Place) -> None:
    """An empty root."""


def two_images(place: Place) -> None:
    place.atomic("pull", "oci:small:latest")
    place.atomic("pull", "oci:other:latest")


def one_to_free(place: Place) -> None:
    two_images(place)
    place.atomic("images", "delete", "other:latest")


def damaged(place: Place) -> None:
    two_images(place)
    size = len(b"content")
    objects = (place.repository / "objects").glob("*/*.file")
    (victim,) = (path for path in objects if path.is_file() and path.stat().st_size == size
                 and path.read_bytes() == b"content")  # fmt: skip
    victim.chmod(0o666)
    victim.write_bytes(b"CONTENT")


DEEDS = {
    "pull": Deed(prepare=nothing, argv=("pull", "oci:small:latest"), sample=14,
                 images=frozenset({"small:latest"})),
    "pull upon another": Deed(prepare=two_images, argv=("pull", "oci:large:latest"), sample=6,
                              calls=LARGE_SAMPLE,
                              images=frozenset({"small:latest", "other:latest", "large:latest"})),
    "delete": Deed(prepare=two_images, argv=("images", "delete", "other:latest"), sample=4,
                   images=frozenset({"small:latest"}), repeatable=False),
    "prune": Deed(prepare=one_to_free, argv=("images", "prune"), sample=8,
                  images=frozenset({"small:latest"})),
    "repair": Deed(prepare=damaged, argv=("fsck", "--repair"), sample=9, wrong_before=True,
                   images=frozenset({"small:latest", "other:latest"})),
}  # fmt: skip


@pytest.fixture
def scratch(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A directory on tmpfs with the layouts, and the current one."""
    with tempfile.TemporaryDirectory(dir="/dev/shm", prefix="crash-test.") as path:
        for name, contents in (("small", SMALL), ("other", OTHER), ("large", LARGE)):
            tars = [layers.archive(members) for members in contents]
            stored = layers.image(name, [layers.layer_import(members) for members in contents])
            layers.write_layout(Path(path, name), stored, tars)
        monkeypatch.chdir(path)
        yield Path(path)


@pytest.mark.parametrize("name", DEEDS)
def test_death_at_a_call(name: str, scratch: Path) -> None:
    deed = DEEDS[name]
    before = Place.make(scratch / "before")
    deed.prepare(before)
    whole = _copy(before, "undisturbed")
    total = _die(whole, deed, 0, Death.ALL).calls
    _finish(whole)
    expected = whole.residue()
    trees = {image: whole.checked_out(image) for image in deed.images}
    assert whole.names() == deed.images

    reached: list[bool] = []  # the number of calls differs from run to run, by some

    def at(call: int) -> Place:
        place = _copy(before, f"dead-{call}")
        for death in (Death.ALL, Death.ONE) if EVERY_CALL else (list(Death)[call % 2],):
            ending = _die(place, deed, call, death)
            reached.append(ending.calls >= call - 1 or ending.code != 0)
        return place

    for chunk in _chunks(_calls(deed, total)):
        with ThreadPoolExecutor(TOGETHER) as pool:
            dead = list(pool.map(at, chunk))
        for place in dead:
            if not deed.wrong_before:
                place.check()
            place.atomic(*deed.argv, code=0 if deed.repeatable else None)
            place.check()
            assert place.names() == deed.images
            assert {image: place.checked_out(image) for image in deed.images} == trees
            _finish(place)
            assert place.residue() == expected
            subprocess.run(["rm", "-rf", place.root], check=True)
    assert sum(reached) > len(reached) // 2, "most of the deaths must have happened"


def _die(place: Place, deed: Deed, call: int, death: Death) -> dying.Ending:
    ours = str(Path(atomic_sys.__file__).parents[1])
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": ours}
    return dying.run(place.command(*deed.argv), call, death, environment)


def _copy(place: Place, name: str) -> Place:
    root = place.root.with_name(name)
    subprocess.run(["cp", "-a", place.root, root], check=True)
    return replace(place, root=root)


def _finish(place: Place) -> None:
    """Prune, and see that nothing is left that nobody names."""
    place.atomic("images", "prune")
    place.check()
    assert place.unreachable() == ""
    left = [path for path in ("tmp", "state") for _ in _files(place.repository / path)]
    assert left == []


def _files(directory: Path) -> list[Path]:
    return [path for path in directory.rglob("*") if not path.is_dir()]


def _calls(deed: Deed, total: int) -> list[int]:
    """Before which calls to die: the first and the last, and some between them."""
    wanted = deed.calls or total if EVERY_CALL else deed.sample
    count = min(wanted, total)
    return sorted({1 + index * (total - 1) // max(1, count - 1) for index in range(count)})


def _chunks(calls: list[int]) -> Iterator[list[int]]:
    step = 4 * TOGETHER
    for start in range(0, len(calls), step):
        yield calls[start : start + step]
