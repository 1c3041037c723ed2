# SPDX-License-Identifier: LGPL-2.1-or-later
"""Commands on one store at the same time: each ends as it may, and all is well in the end.

ATOMIC_SYS_SEEDS in the environment is for how many rounds of mixed commands.
"""

import contextlib
import fcntl
import hashlib
import io
import itertools
import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import pytest

from atomic_sys.__main__ import run
from atomic_sys.errors import ExitCode
from tests.support import images, layers, reference
from tests.support.generated import Choices
from tests.support.layers import Member, directory, file, hard_link, symlink
from tests.support.places import CHECKOUTS, Place
from tests.support.trees import expected, seen

pytestmark = pytest.mark.conformance
SEEDS = range(int(os.environ.get("ATOMIC_SYS_SEEDS", "3")))
COMMANDS = 24  # of a round
TOGETHER = 6
PATIENCE = 240  # seconds for one command: nothing may wait for ever
SMALL_FILES = 80
LARGE = 3 << 20  # bytes
EXPORTS = {
    "config.json.template": images.CONFIG,
    "service.template": images.SERVICE,
    "manifest.json": b'{"defaultValues": {"GREETING": "hi"}}',
}


def many(number: int) -> list[Member]:
    """A layer of files, some of which other layers have too, and of which some go again."""
    top = f"d{number}"
    return [
        directory(top, mode=0o750, uid=number),
        *(file(f"{top}/f{n}", f"{number % 2} {n}".encode() * n) for n in range(SMALL_FILES)),
        file(f"{top}/large", bytes([number]) * LARGE, mode=0o4755),
        hard_link(f"{top}/again", f"{top}/large"),
        symlink(f"{top}/link", "../hello"),
        *([file(f"d{number - 1}/.wh.f1"), file(f"d{number - 1}/.wh.large")] if number else []),
    ]


BASE = images.members(EXPORTS)
CONTENTS: Mapping[str, list[list[Member]]] = {
    "one": [BASE, many(0)],
    "two": [BASE, many(0), many(1)],
    "three": [BASE, many(0), many(1), many(2)],
    "four": [BASE, many(3)],
}
# How often each command is chosen, and how it may end.
MIXED = {
    "pull oci:{image}": (4, {ExitCode.DONE}),
    "install --name {name} oci:{image}": (5, {ExitCode.DONE, ExitCode.NOT_FOUND}),
    "containers update {name}": (2, {ExitCode.DONE, ExitCode.NOT_FOUND}),
    "uninstall {name}": (2, {ExitCode.DONE, ExitCode.NOT_FOUND}),
    "images delete {image}": (1, {ExitCode.DONE, ExitCode.NOT_FOUND, ExitCode.FAILED}),
    "images delete --force {image}": (2, {ExitCode.DONE, ExitCode.NOT_FOUND}),
    "images prune": (4, {ExitCode.DONE}),
    "images list --json": (1, {ExitCode.DONE}),
    "containers list --all --json": (1, {ExitCode.DONE}),
    "containers verify --all": (1, {ExitCode.DONE}),
    "fsck": (1, {ExitCode.DONE}),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A command line, and how it may end."""

    argv: tuple[str, ...]
    codes: frozenset[int] = frozenset({ExitCode.DONE})


@pytest.fixture
def place(monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    """A root that can install, on tmpfs, with the layouts in the current directory."""
    with tempfile.TemporaryDirectory(dir="/dev/shm", prefix="concurrency-test.") as path:
        monkeypatch.chdir(path)
        monkeypatch.setenv("PYTHONPATH", os.fspath(Path(__file__).parents[2]))
        for name in ("RUNC_PATH", "ATOMIC_OSTREE_REPO", "ATOMIC_OSTREE_CHECKOUT_PATH"):
            monkeypatch.delenv(name, raising=False)
        made = Place.make(Path(path, "root"))
        for below in ("etc/systemd/system", "etc/tmpfiles.d", "usr/bin", "usr/lib/systemd/system",
                      "var/lib", "run", CHECKOUTS):  # fmt: skip
            (made.root / below).mkdir(parents=True)
        runc = shutil.which("runc")
        assert runc is not None
        (made.root / "usr/bin/runc").symlink_to(runc)
        for name, contents in CONTENTS.items():
            tars = [layers.archive(members) for members in contents]
            stored = layers.image(name, [layers.layer_import(members) for members in contents])
            layers.write_layout(Path(path, name), stored, tars)
        yield made


def perform(place: Place, command: Command) -> "subprocess.CompletedProcess[str]":
    """Run it as a process of its own, and see how it ends."""
    done = subprocess.run(
        place.command(*command.argv),
        capture_output=True, text=True, check=False, timeout=PATIENCE,
    )  # fmt: skip
    said = (command.argv, done.returncode, done.stdout, done.stderr)
    assert done.returncode in command.codes, said
    assert "Traceback" not in done.stderr, said
    problems = [line for line in done.stderr.splitlines() if line.startswith("atomic: ")]
    assert len(problems) == (done.returncode != 0), said
    return done


def all_at_once(place: Place, commands: Sequence[Command]) -> None:
    with ThreadPoolExecutor(TOGETHER) as pool:
        for _ in pool.map(lambda command: perform(place, command), commands):
            pass


def check_at_rest(place: Place) -> None:
    """Store, images and containers are whole, and nothing is left of what was done."""
    place.check()
    for name in place.names():
        assert seen_of(place, name) == wanted(name.partition(":")[0])
        place.atomic("images", "verify", name)
    containers = json.loads(place.atomic("containers", "list", "--all", "--json")[0])
    names = {container["name"] for container in containers}
    for name in names:
        place.atomic("containers", "verify", name)
    place.atomic("images", "prune")
    place.check()
    assert place.unreachable() == ""
    for top in (place.repository / "tmp", place.repository / "state",
                place.root / CHECKOUTS / ".journal"):  # fmt: skip
        assert [path for path in top.rglob("*") if not path.is_dir()] == []
    checkouts = place.root / CHECKOUTS
    present = {path.name for path in checkouts.iterdir() if not path.name.startswith(".")}
    assert {name.partition(".")[0] for name in present} == names
    assert all((checkouts / Path(os.readlink(checkouts / name)).name).is_dir() for name in names)


def seen_of(place: Place, name: str) -> object:
    where = place.root / "checked-out"
    place.atomic("images", "checkout", name, where)
    try:
        return seen(where)
    finally:
        shutil.rmtree(where)


def wanted(name: str) -> object:
    return expected(reference.extract([layers.archive(members) for members in CONTENTS[name]]))


def mixture(seed: int) -> list[Command]:
    """Commands that get in each other's way."""
    choose = Choices(hashlib.shake_128(b"%d" % seed).digest(3 * COMMANDS))
    often = [words for words, (weight, _) in MIXED.items() for _ in range(weight)]
    commands = []
    for _ in range(COMMANDS):
        words = choose.one(often)
        text = words.format(image=choose.one(list(CONTENTS)), name=choose.one("abc"))
        codes = {int(code) for code in MIXED[words][1]}
        commands.append(Command(argv=tuple(text.split()), codes=frozenset(codes)))
    return commands


@pytest.mark.parametrize("seed", SEEDS)
def test_a_mixture_of_commands(seed: int, place: Place) -> None:
    all_at_once(place, mixture(seed))
    check_at_rest(place)


def test_the_same_layers_by_many_at_once(place: Place) -> None:
    pulls = [Command(argv=("pull", f"oci:{name}")) for name in CONTENTS] * 2
    all_at_once(place, pulls)
    assert place.names() == {f"{name}:latest" for name in CONTENTS}
    check_at_rest(place)


def test_prunes_while_images_are_pulled(place: Place) -> None:
    prune = Command(argv=("images", "prune"))
    delete = Command(argv=("images", "delete", "two"))
    for _ in range(2):
        commands = [prune, Command(argv=("pull", "oci:two")), prune, prune,
                    Command(argv=("pull", "oci:three")), prune]  # fmt: skip
        all_at_once(place, commands)
        assert place.names() == {"two:latest", "three:latest"}
        perform(place, delete)
    check_at_rest(place)


def test_two_installs_of_one_name_are_one_container(place: Place) -> None:
    install = Command(argv=("install", "--name", "a", "oci:one"))
    with ThreadPoolExecutor(TOGETHER) as pool:
        said = [done.stdout for done in pool.map(lambda _: perform(place, install), range(4))]
    assert sum("a already present" in text for text in said) == 3
    check_at_rest(place)


def test_a_deployment_keeps_its_tree_whatever_becomes_of_its_image(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    years = itertools.count(1 << 30, 1 << 25)  # as many commits can be made in one second
    monkeypatch.setattr("atomic_sys.store.commits.time", SimpleNamespace(time=years.__next__))
    place.atomic("install", "--name", "a", "oci:one")
    for _ in range(2):
        place.atomic("images", "delete", "--force", "one")
        place.atomic("images", "prune")
        place.atomic("containers", "verify", "a")
        place.atomic("pull", "oci:one")
    check_at_rest(place)


class Listening(io.StringIO):
    """A stdout that does something when a text comes."""

    def __init__(self, text: str, deed: Callable[[], None]) -> None:
        super().__init__()
        self.text = text
        self.deed: Callable[[], None] | None = deed

    def write(self, text: str) -> int:
        if self.text in text and self.deed is not None:
            deed, self.deed = self.deed, None
            deed()
        return super().write(text)


@pytest.mark.parametrize("verb", ["install", "update"])
def test_what_was_judged_is_checked_out_though_its_name_goes_to_another(
    place: Place, verb: str
) -> None:
    """While the deployment is being filled, its image is deleted, and pruned, and pulled anew."""
    argv = ["install", "--name", "a", "oci:one"]
    if verb == "update":
        place.atomic("install", "--name", "a", "oci:four")
        argv = ["containers", "update", "a", "--rebase", "oci:one"]

    def interfere() -> None:
        perform(place, Command(argv=("images", "delete", "--force", "one")))
        busy = frozenset({int(ExitCode.BUSY)})
        perform(place, Command(argv=("images", "prune", "--lock-timeout", "0"), codes=busy))
        os.rename("one", "old")
        os.rename("two", "one")
        perform(place, Command(argv=("pull", "oci:one")))
        os.rename("one", "two")
        os.rename("old", "one")

    with contextlib.redirect_stdout(Listening("Extracting to", interfere)) as out:
        assert run(place.arguments(*argv)) == ExitCode.DONE
    assert out.deed is None
    assert seen(place.root / CHECKOUTS / Path(os.readlink(place.root / CHECKOUTS / "a")).name
                / "rootfs") == wanted("one")  # fmt: skip
    place.atomic("images", "delete", "--force", "one")
    place.atomic("images", "prune")
    place.atomic("containers", "verify", "a")
    check_at_rest(place)


def test_a_prune_that_waited_sees_what_came_meanwhile(place: Place) -> None:
    """What deployments need is looked at when nobody else uses the store, and not before."""
    place.atomic("pull", "oci:one")
    lock = place.repository / ".lock"
    with lock.open() as held:
        fcntl.flock(held, fcntl.LOCK_SH)
        with subprocess.Popen(place.command("images", "prune"), stdout=subprocess.DEVNULL) as prune:
            opened = Path(f"/proc/{prune.pid}/fd")
            until = time.monotonic() + PATIENCE
            while time.monotonic() < until and str(lock) not in map(linked_to, opened.iterdir()):
                time.sleep(0.01)
            place.atomic("install", "--name", "a", "oci:one")
            place.atomic("images", "delete", "--force", "one")
            fcntl.flock(held, fcntl.LOCK_UN)
            assert prune.wait(PATIENCE) == ExitCode.DONE
    place.atomic("containers", "verify", "a")
    check_at_rest(place)


def linked_to(descriptor: Path) -> str:
    """What a descriptor in /proc is of; nothing when it has been closed."""
    try:
        return os.readlink(descriptor)
    except FileNotFoundError:
        return ""
