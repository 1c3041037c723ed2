# SPDX-License-Identifier: LGPL-2.1-or-later
"""The real command dies while it installs, or updates, a container that runs from elsewhere."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

import atomic_sys
from tests.conformance.fleet import Fleet, make_fleet
from tests.support import dying
from tests.support.dying import Death
from tests.support.layers import listing

pytestmark = pytest.mark.conformance
SAMPLE = 8  # deaths, spread evenly
INSTALL = ("install", "--system", "--rootfs=/srv/export/one")
UPDATE = ("containers", "update", "hello", "--rootfs=/srv/export/two")


@pytest.fixture
def fleet() -> Iterator[Fleet]:
    with make_fleet() as made:
        for version, directory in (("2", "two"), ("1", "one")):
            made.publish(version)
            made.prepare(directory)
        yield made


def die(fleet: Fleet, at: int, *words: str) -> dying.Ending:
    ours = str(Path(atomic_sys.__file__).parents[1])
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": ours}
    death = list(Death)[at % 2]
    return dying.run(fleet.hosts["a"].command(*words), at, death, environment)


def calls(total: int) -> list[int]:
    return sorted({1 + index * (total - 1) // (SAMPLE - 1) for index in range(SAMPLE)})


def remove(fleet: Fleet) -> None:
    """Uninstall and prune, and see that nothing stays."""
    host = fleet.hosts["a"]
    host.said("uninstall", "hello")
    host.said("images", "prune")
    host.check()
    for directory in ("objects", "state", "tmp"):
        left = (host.repository / directory).rglob("*")
        assert [path for path in left if not path.is_dir() or path.is_symlink()] == []


def test_an_installation(fleet: Fleet) -> None:
    exported = listing(fleet.export)
    total = die(fleet, 0, *INSTALL, fleet.image).calls
    remove(fleet)
    before = fleet.seen("a")
    for at in calls(total):
        die(fleet, at, *INSTALL, fleet.image)
        fleet.hosts["a"].check()
        code, _, talk = fleet.install("a", "one")
        assert code == 0, talk
        fleet.hosts["a"].check()
        fleet.hosts["a"].said("containers", "verify", "hello")
        remove(fleet)
        assert fleet.seen("a") == before
    assert listing(fleet.export) == exported


def test_an_update(fleet: Fleet) -> None:
    exported, versions = listing(fleet.export), set()
    fleet.install("a", "one")
    fleet.publish("2")
    total = die(fleet, 0, *UPDATE).calls
    for at in calls(total):
        fleet.call("a", "containers", "rollback", "hello", "--settle=0")
        die(fleet, at, *UPDATE)
        fleet.hosts["a"].said("containers", "recover")
        fleet.hosts["a"].check()
        fleet.hosts["a"].said("containers", "verify", "hello")
        versions.add(fleet.hosts["a"].alone("run", "hello", "/bin/cat", "/version"))
        code, _, talk = fleet.call("a", *UPDATE)
        assert code == 0, talk
    assert versions <= {"1\n", "2\n"}
    assert "1\n" in versions
    assert listing(fleet.export) == exported
    remove(fleet)
