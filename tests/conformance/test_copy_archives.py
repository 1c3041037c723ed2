# SPDX-License-Identifier: LGPL-2.1-or-later
"""`copy` into archives, from a layout and from the store; skopeo reads them."""

import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support import images
from tests.support.places import Place

pytestmark = pytest.mark.conformance


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """A root whose store has the image of a layout."""

    place: Place
    top: Path

    @property
    def layout(self) -> str:
        return f"oci:{self.top}/hello"


@pytest.fixture
def world() -> Iterator[World]:
    with tempfile.TemporaryDirectory(dir="/dev/shm", prefix="copy-archives.") as path:
        top = Path(path)
        made = World(place=Place.make(top / "root"), top=top)
        images.layout(top / "hello")
        made.place.atomic("pull", made.layout)
        yield made


def skopeo(*argv: str) -> bytes:
    done = subprocess.run(["skopeo", *argv], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def sources(world: World) -> tuple[str, str]:
    return world.layout, "ostree:hello:latest"


def test_a_layout_in_an_archive_is_the_same_bytes(world: World) -> None:
    for number, source in enumerate(sources(world)):
        target = f"oci-archive:{world.top}/{number}.tar:1"
        world.place.atomic("copy", source, target)
        assert skopeo("inspect", "--raw", target) == skopeo("inspect", "--raw", world.layout)
        skopeo("copy", "--insecure-policy", "-q", target, f"dir:{world.top}/out-{number}")


def test_an_archive_of_docker_keeps_the_image_id(world: World) -> None:
    wanted = skopeo("inspect", "--config", "--raw", world.layout)
    written = []
    for number, source in enumerate(sources(world)):
        target = f"docker-archive:{world.top}/{number}.tar:h/i:1"
        world.place.atomic("copy", source, target)
        assert skopeo("inspect", "--config", "--raw", target) == wanted
        written.append((world.top / f"{number}.tar").read_bytes())
    assert written[0] == written[1]


@pytest.mark.parametrize("kind", ["oci-archive", "docker-archive"])
def test_nothing_is_left_of_a_copy_that_is_refused(world: World, kind: str) -> None:
    world.place.policy.write_text('{"default": [{"type": "reject"}]}')
    before = sorted(world.top.iterdir())
    world.place.atomic("copy", world.layout, f"{kind}:{world.top}/a.tar", code=6)
    assert sorted(world.top.iterdir()) == before


def test_no_engine(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{world.top}/nobody")
    _, said = world.place.atomic("copy", world.layout, "docker-daemon:h/i:1", code=1)
    assert "is docker running?" in said
