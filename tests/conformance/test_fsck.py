# SPDX-License-Identifier: LGPL-2.1-or-later
"""`atomic fsck` finds what was damaged, `ostree fsck` agrees, and --repair makes both content."""

import json
import os
import re
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support import images, layers, places

pytestmark = pytest.mark.conformance
NAME = "hello:latest"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A root with an image that came from a layout."""

    host: places.Place
    layout: Path

    @property
    def root(self) -> Path:
        return self.host.root

    @property
    def repository(self) -> Path:
        return self.host.repository

    def atomic(self, *argv: str, code: int = 0) -> str:
        return self.host.said(*argv, code=code)

    def ostree_fsck(self) -> int:
        return subprocess.run(
            ["ostree", "fsck", "-q", f"--repo={self.repository}"], capture_output=True, check=False
        ).returncode

    def object_of(self, path: str) -> Path:
        """The object of a file of the root file system."""
        refs = [r for r in self.refs() if r.startswith("ocirootfs/")]
        line = subprocess.run(
            ["ostree", f"--repo={self.repository}", "ls", "-C", refs[0], path],
            capture_output=True, text=True, check=True,
        ).stdout  # fmt: skip
        checksum = line.split()[4]
        return self.repository / "objects" / checksum[:2] / f"{checksum[2:]}.file"

    def refs(self) -> list[str]:
        return subprocess.run(
            ["ostree", f"--repo={self.repository}", "refs"],
            capture_output=True, text=True, check=True,
        ).stdout.split()  # fmt: skip

    def commits(self, pattern: str) -> list[Path]:
        """The commit objects of the refs that match."""
        names = [r for r in self.refs() if re.fullmatch(pattern, r)]
        sums = [(self.repository / "refs/heads" / name).read_text().strip() for name in names]
        return [self.repository / "objects" / s[:2] / f"{s[2:]}.commit" for s in sums]


@pytest.fixture
def place() -> Iterator[Place]:
    with tempfile.TemporaryDirectory(dir="/dev/shm", prefix="fsck-test.") as path:
        made = Place(host=places.Place.make(Path(path, "root")), layout=Path(path, "hello"))
        files = [*images.members(), *(layers.file(f"many/{n}", b"%d" % n) for n in range(300))]
        images.layout(made.layout, files)
        made.atomic("pull", f"oci:{made.layout}")
        yield made


def flip(path: Path) -> None:
    """Change one byte, the metadata kept."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    info = path.stat()
    path.write_bytes(content)
    os.utime(path, ns=(info.st_atime_ns, info.st_mtime_ns))


def test_a_whole_store_is_clean(place: Place) -> None:
    assert "no problems" in place.atomic("fsck")
    answer = json.loads(place.atomic("fsck", "--json"))
    assert answer["objects"] == len(list(place.repository.glob("objects/??/*")))
    assert answer["problems"] == answer["damaged"] == answer["missing"] == []
    place.atomic("images", "verify", NAME)


def test_a_flipped_bit_is_found_and_repaired(place: Place) -> None:
    file = place.object_of("/hello")
    flip(file)
    assert place.ostree_fsck() != 0
    answer = json.loads(place.atomic("fsck", "--json", code=5))
    assert answer["damaged"] == [file.parent.name + file.name]
    assert {line.partition("/")[0] for line in answer["problems"]} == {"ociimage", "ocirootfs"}
    place.atomic("images", "verify", NAME, code=5)
    assert "Repaired hello:latest" in place.atomic("fsck", "--repair")
    assert file.read_bytes() == b"hello\n"
    assert place.ostree_fsck() == 0


@pytest.mark.parametrize("change", ["mode", "owner", "xattr", "missing"])
def test_metadata_counts_too(place: Place, change: str) -> None:
    file = place.object_of("/hello")
    match change:
        case "mode":
            file.chmod(0o777)
        case "owner":
            os.chown(file, 1, 1)
        case "xattr":
            os.setxattr(file, "user.extra", b"1")
        case _:
            file.unlink()
    assert place.atomic("fsck", code=5)
    place.atomic("images", "verify", NAME, "--repair")
    assert place.ostree_fsck() == 0
    assert "no problems" in place.atomic("fsck")


@pytest.mark.parametrize("kind", ["dirtree", "dirmeta"])
def test_directories_are_repaired(place: Place, kind: str) -> None:
    for path in place.repository.glob(f"objects/??/*.{kind}"):
        flip(path)
    place.atomic("fsck", code=5)
    place.atomic("fsck", "--repair")
    assert place.ostree_fsck() == 0


@pytest.mark.parametrize("ref", ["ocirootfs/[0-9a-f]{64}", "ociimage/[0-9a-f]{64}"])
def test_commits_are_repaired(place: Place, ref: str) -> None:
    for path in place.commits(ref):
        flip(path)
    place.atomic("fsck", code=5)
    place.atomic("fsck", "--repair")
    assert place.ostree_fsck() == 0


def test_an_image_whose_own_commit_is_lost_is_pulled_again(place: Place) -> None:
    for path in place.commits("ociimage/hello.*"):
        flip(path)
    assert "ociimage/hello_3Alatest" in place.atomic("fsck", "--repair", code=5)
    place.atomic("pull", f"oci:{place.layout}")
    assert "no problems" in place.atomic("fsck", "--repair")  # what was lost is still there


def test_a_lost_source_loses_nothing_more(place: Place) -> None:
    file = place.object_of("/hello")
    flip(file)
    place.layout.rename(place.layout.with_name("gone"))
    place.atomic("fsck", "--repair", code=5)
    assert file.exists()
    place.layout.with_name("gone").rename(place.layout)
    place.atomic("fsck", "--repair")


def test_todays_policy_decides_on_a_repair(place: Place) -> None:
    flip(place.object_of("/hello"))
    policy = place.layout.parent / "closed.json"
    policy.write_text('{"default": [{"type": "reject"}]}')
    place.atomic("--policy", str(policy), "fsck", "--repair", code=5)


def test_an_unnamed_damaged_object_is_removed(place: Place) -> None:
    stray = place.repository / "objects/00" / ("0" * 62 + ".file")
    stray.parent.mkdir(exist_ok=True)
    stray.write_bytes(b"nobody's")
    assert "which nothing needs" in place.atomic("fsck", code=5)
    place.atomic("fsck", "--repair")
    assert not stray.exists()
