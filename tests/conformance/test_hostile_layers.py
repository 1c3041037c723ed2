# SPDX-License-Identifier: LGPL-2.1-or-later
"""Every hostile layer through the real command, with canaries wherever it may want to go.

The attacks share one root directory, so what one of them leaves the next ones and the end see.
"""

import json
import os
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from atomic_sys.model.digest import Digest
from atomic_sys.store.images import LayerImport
from tests.support import hostile_archives, hostile_layers, layers
from tests.support.hostile import Attack
from tests.support.places import CHECKOUTS, Place
from tests.support.reference import Path as TreePath
from tests.support.trees import Node, seen

pytestmark = pytest.mark.conformance
TOGETHER = 2  # commands at the same time
ALLOWED = ("user.", "security.capability")  # attributes that an image may bring


def attacks(outside: Path) -> Mapping[str, Attack]:
    """All attacks; absolute paths in them lead to this directory."""
    where = os.fsencode(outside)
    return {**hostile_layers.attacks(where), **hostile_archives.attacks(where)}


ATTACKS = attacks(Path("/outside"))
NAMES = tuple(ATTACKS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a pull ended, and whether all canaries were alive then."""

    layout: Path
    code: int
    talk: str
    unhurt: bool

    def refs(self) -> set[str]:
        """What an image that was accepted is named by."""
        (described,) = json.loads((self.layout / "index.json").read_text())["manifests"]
        digest = described["digest"].removeprefix("sha256:")
        return {f"ocirootfs/{digest}", f"ociimage/{self.layout.name}_3Alatest"}


class Field:
    """A root directory, and canaries outside of it, at its top and beside the checkouts."""

    def __init__(self, scratch: Path) -> None:
        self.scratch = scratch
        self.outside = scratch / "outside"
        self.place = Place.make(scratch / "root")
        self.checkouts = self.place.root / "checked-out"
        self.nests = [self.outside, self.checkouts / "canaries", self.place.root / "etc",
                      self.place.root / CHECKOUTS]  # fmt: skip
        for nest in self.nests:
            (nest / "sub").mkdir(parents=True)
            for canary in (nest / "canary", nest / "sub/canary", nest / "passwd"):
                canary.write_text(f"{canary}: alive")
                canary.chmod(0o640)
                os.setxattr(canary, "user.canary", b"sings")
                os.utime(canary, (1, 1))
            os.utime(nest / "sub", (1, 1))
        self.attacks = attacks(self.outside)
        self.before = self.canaries()

    def canaries(self) -> list[tuple[object, ...]]:
        """All that there is, but for the store and the checkouts: names, nodes, times and links."""
        store, out = self.place.root / CHECKOUTS / ".storage", self.checkouts / "out"
        found: list[tuple[object, ...]] = []
        for top, directories, names in os.walk(self.scratch):
            here = Path(top)
            directories[:] = [d for d in directories if here / d not in (store, out)]
            if self.scratch / "layouts" in (here, *here.parents):
                continue
            for name in names:
                path = here / name
                info = path.lstat()
                found.append((path, seen(path)[()], info.st_nlink, info.st_mtime_ns))
        return sorted(found, key=str)

    def layout(self, name: str) -> Path:
        """The image of an attack."""
        attack = self.attacks[name]
        imports = [
            LayerImport(
                digest=Digest.of(blob), diff_id=Digest.of(unpacked), compressed_size=len(blob)
            )
            for blob, unpacked in zip(attack.blobs, attack.unpacked or attack.blobs, strict=True)
        ]
        path = self.scratch / "layouts" / f"attack-{NAMES.index(name)}"
        layers.write_layout(path, layers.image(path.name, imports), attack.blobs)
        return path

    def pull(self, name: str) -> "Outcome":
        """Pull the image in a process of its own."""
        layout = self.layout(name)
        done = subprocess.run(
            self.place.command("pull", f"oci:{layout}"),
            capture_output=True, text=True, check=False, timeout=120,
        )  # fmt: skip
        unhurt = self.canaries() == self.before
        return Outcome(layout=layout, code=done.returncode, talk=done.stderr, unhurt=unhurt)

    def check_out(self, layout: Path) -> dict[TreePath, Node]:
        """What the command checks out of the image."""
        out = self.checkouts / "out"
        self.place.atomic("images", "checkout", layout.name, out)
        tree = seen(out)
        subprocess.run(["rm", "-rf", out], check=True)
        return tree

    def refs(self) -> set[str]:
        """All refs of the repository."""
        heads = self.place.repository / "refs/heads"
        return {str(path.relative_to(heads)) for path in heads.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def field() -> Iterator[Field]:
    with tempfile.TemporaryDirectory(dir="/dev/shm", prefix="hostile-test.") as path:
        yield Field(Path(path))


@pytest.fixture(scope="module")
def outcomes(field: Field) -> Mapping[str, Outcome]:
    """All attacks at once, or nearly so."""
    with ThreadPoolExecutor(TOGETHER) as pool:
        return dict(zip(NAMES, pool.map(field.pull, NAMES), strict=True))


@pytest.mark.parametrize("name", [name for name in NAMES if ATTACKS[name].refused])
def test_refused(name: str, field: Field, outcomes: Mapping[str, Outcome]) -> None:
    why, outcome = field.attacks[name].refused, outcomes[name]
    line, *hints = outcome.talk.splitlines()
    assert (outcome.code, line.startswith("atomic: ")) == (1, True), outcome.talk
    assert all(hint.startswith("hint: ") for hint in hints)
    assert why is not None
    assert why in line
    assert line.isprintable()
    assert not field.refs() & outcome.refs()
    assert outcome.unhurt


@pytest.mark.parametrize("name", [name for name in NAMES if not ATTACKS[name].refused])
def test_harmless(name: str, field: Field, outcomes: Mapping[str, Outcome]) -> None:
    outcome = outcomes[name]
    talk = outcome.talk.splitlines()
    assert (outcome.code, all(line.startswith("warning: ") for line in talk)) == (0, True), talk
    assert field.refs() >= outcome.refs()
    tree = field.check_out(outcome.layout)
    assert {b"/".join(path).decode() for path in tree if path} == field.attacks[name].left
    for *_, attributes in tree.values():
        assert all(key.startswith(ALLOWED) for key, _ in attributes)
    assert outcome.unhurt
    assert field.canaries() == field.before


def test_afterwards_all_is_well(field: Field, outcomes: Mapping[str, Outcome]) -> None:
    place = field.place
    accepted = {f"{one.layout.name}:latest" for one in outcomes.values() if one.code == 0}
    assert place.names() == accepted
    place.check()
    place.atomic("images", "prune")
    place.check()
    assert place.unreachable() == ""
    left = [path for name in ("tmp", "state") for path in (place.repository / name).rglob("*")]
    assert [path for path in left if not path.is_dir()] == []
    assert field.canaries() == field.before
