# SPDX-License-Identifier: LGPL-2.1-or-later
"""Install, update, rollback and uninstall die at each operation in turn, on a real systemd.

They die by SIGKILL just before they begin an operation, which is when they say so with --debug, and
between two changes of files. Then either `containers recover` or the very same command finds or
makes a whole state, of files, units and processes. By default some of these points are taken; with
ATOMIC_SYS_CRASH=all in the environment all operations, and changes all over each command.
"""

import itertools
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.host import service
from tests.host.host import Host
from tests.host.service import assert_gone, assert_runs, atomic, files
from tests.host.snapshot import difference
from tests.support import dying
from tests.support.dying import Counted, Death

pytestmark = pytest.mark.usefixtures("base")
EVERY_POINT = os.environ.get("ATOMIC_SYS_CRASH") == "all"
SAMPLE = 3  # operations of each command at which it dies, by default
TRANSIENT = ("/run/of-base",)  # a boot makes what the current deployment wants, and no more
MANY = 40  # changes of files at which it dies, where all are wanted


@dataclass(frozen=True, slots=True, kw_only=True)
class Deed:
    """A command, what the source has, and the version that runs before and after it."""

    argv: tuple[str, ...]
    source: str
    before: str | None
    after: str | None


INSTALL = Deed(
    argv=("install", "--now", service.IMAGE, "--after=dbus.service"),
    source="one", before=None, after="one",
)  # fmt: skip
UPDATE = Deed(
    argv=("containers", "update", "base", "--settle=0"), source="two", before="one", after="two"
)
ROLLBACK = Deed(
    argv=("containers", "rollback", "base", "--settle=0"), source="two", before="two", after="one"
)
UNINSTALL = Deed(argv=("uninstall", "base"), source="one", before="one", after=None)
LIFE = {"install": INSTALL, "update": UPDATE, "rollback": ROLLBACK, "uninstall": UNINSTALL}


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """An undisturbed command: the files before and after it, what it says, and its changes."""

    before: Mapping[str, str]
    after: Mapping[str, str]
    lines: tuple[str, ...]
    changes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """Where a command dies: before its line or change of this number, the first of which is 1."""

    counted: Counted
    at: int
    said: str = ""


@pytest.fixture(scope="module")
def ready(host: Host, tmp_path_factory: pytest.TempPathFactory) -> Host:
    """A host with the product and both images in its store."""
    layouts = tmp_path_factory.mktemp("layouts")
    service.make_versions(layouts)
    service.make_ready(host, layouts)
    host.copy_in(Path(dying.__file__), "/srv/dying.py")
    for version in ("one", "two"):
        service.publish(host, version)
        atomic(host, "pull", service.IMAGE)
    return host


@pytest.fixture(scope="module")
def courses(ready: Host) -> dict[str, Course]:
    """Two undisturbed lives, from nothing to nothing: one to listen to, one to count in."""
    said: dict[str, tuple[str, ...]] = {}
    found: dict[str, Course] = {}
    for name, deed in LIFE.items():
        service.publish(ready, deed.source)
        said[name] = tuple(atomic(ready, "--debug", *deed.argv).stderr.splitlines())
        assert_state(ready, deed.after, start=deed is INSTALL)
    for name, deed in LIFE.items():
        service.publish(ready, deed.source)
        before = files(ready)
        ending = die(ready, deed, Point(counted=Counted.CHANGES, at=0))
        assert ending.code == 0
        assert_state(ready, deed.after, start=deed is INSTALL)
        found[name] = Course(
            before=before, after=files(ready), lines=said[name], changes=ending.calls
        )
    return found


def die(host: Host, deed: Deed, point: Point) -> dying.Ending:
    """Runs the command, which dies at the point, alone or with its children."""
    death = list(Death)[point.at % 2]
    options = [str(point.at), death.value, point.counted.value]
    words = ["/usr/bin/python3", "/srv/dying.py", *options, "atomic", "--debug", *deed.argv]
    return dying.ending(host.run(words, timeout=120).stdout)


def assert_state(host: Host, version: str | None, *, start: bool = False) -> None:
    """It runs, and so does what needs it, which only an installation does not `start`."""
    if version is None:
        assert_gone(host)
        return
    if start:
        host.run(["systemctl", "start", service.NEEDS])
    assert_runs(host, version)


def perform(host: Host, deed: Deed) -> None:
    """Runs the command, undisturbed, if that is still to be done."""
    service.publish(host, deed.source)
    link = host.path(f"{service.CHECKOUTS}/base")
    if deed is not UNINSTALL or link.is_symlink():
        atomic(host, *deed.argv)
    assert_state(host, deed.after, start=deed is INSTALL)


def points(course: Course) -> list[Point]:
    """Where a command dies: evenly spread, in an order that begins with those in the middle."""
    operations = [
        Point(counted=Counted.LINES, at=number, said=line)
        for number, line in enumerate(course.lines, 1)
        if line.startswith("debug: ")
    ]
    changes = [Point(counted=Counted.CHANGES, at=number) for number in range(1, course.changes + 1)]
    if EVERY_POINT:
        return [*operations, *spread(changes, MANY)]
    return [*spread(operations, SAMPLE), *spread(changes, 1)]


def cuts(course: Course) -> list[Point]:
    """Where the power is cut: a boot each."""
    return spread(points(course), len(points(course)) // 5 if EVERY_POINT else 1)


def spread(among: list[Point], wanted: int) -> list[Point]:
    """Some of them, at equal distances."""
    return [among[(2 * number + 1) * len(among) // (2 * wanted)] for number in range(wanted)]


def test_lives_full_of_deaths(ready: Host, courses: Mapping[str, Course]) -> None:
    """Each command dies, and `recover` makes all as it was before; it dies again, and the very
    same command then does what is wanted."""
    where = {name: points(course) for name, course in courses.items()}
    for turn in range((max(map(len, where.values())) + 1) // 2):
        for name, deed in LIFE.items():
            first, second = (where[name][(2 * turn + half) % len(where[name])] for half in (0, 1))
            live(ready, deed, courses[name], (first, second))


@pytest.mark.parametrize("name", LIFE)
def test_a_power_cut_at_a_change(name: str, ready: Host, courses: Mapping[str, Course]) -> None:
    """What the disk has is made whole at the next boot, before the containers start; then the very
    same command works."""
    for earlier in itertools.takewhile(lambda earlier: earlier != name, LIFE):
        perform(ready, LIFE[earlier])
    deed, course = LIFE[name], courses[name]
    done = False
    for point in cuts(course):
        service.publish(ready, deed.source)
        ready.run(["sync"])  # what was there before the command is on the disk
        print(f"{deed.argv} dies before {point}, and the power is cut")
        die(ready, deed, point)
        ready.kill()
        ready.boot()
        found = files(ready)
        if done := difference(course.after, found, kept=TRANSIENT) == ():
            break  # it had gone too far, or could only be finished
        assert difference(course.before, found, kept=TRANSIENT) == ()
        assert_state(ready, deed.before)
    for later in itertools.dropwhile(lambda later: later != name, LIFE):
        if later != name or not done:
            perform(ready, LIFE[later])


def live(host: Host, deed: Deed, course: Course, deaths: tuple[Point, Point]) -> None:
    """From the state before the command to the one after it."""
    service.publish(host, deed.source)
    print(f"{deed.argv} dies before {deaths[0]}")
    die(host, deed, deaths[0])
    atomic(host, "containers", "recover")
    found = files(host)
    if found != course.after:  # else it died when all was done, or recovery finished it
        assert difference(course.before, found) == ()
        assert_state(host, deed.before)
        print(f"{deed.argv} dies before {deaths[1]}")
        die(host, deed, deaths[1])
        if files(host) != course.after:
            atomic(host, *deed.argv)
    assert difference(course.after, files(host)) == ()
    assert_state(host, deed.after, start=deed is INSTALL)
