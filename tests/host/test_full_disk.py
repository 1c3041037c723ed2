# SPDX-License-Identifier: LGPL-2.1-or-later
"""A full disk: nothing is half-done, the old service runs on, and with room again all works.

The whole disk is filled, /etc and the store and the journals, up to some free bytes that decide
where a command meets its end. The tests run in the order of the file.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

from tests.host import service
from tests.host.host import Host
from tests.host.process import Completed
from tests.host.service import assert_gone, assert_runs, atomic, files
from tests.host.snapshot import difference

pytestmark = pytest.mark.usefixtures("base")
FILLER = "/srv/filler"
# Bytes that are left: from nothing to where, some blocks later, a command just finds room. Near
# the end it is the runtime, or systemd, that finds none.
ALL = (*range(0, 120 << 10, 8 << 10), *range(120 << 10, 148 << 10, 4 << 10))
LEFT = ALL if os.environ.get("ATOMIC_SYS_CRASH") == "all" else (24 << 10, 128 << 10)
FILL = f"""
import os, sys
left = int(sys.argv[1])
os.sync()
with open("{FILLER}", "wb") as file:
    while (free := os.statvfs("/srv").f_bavail * os.statvfs("/srv").f_bsize) > left:
        try:
            size = os.fstat(file.fileno()).st_size
            os.posix_fallocate(file.fileno(), size, max(4096, free - left))
        except OSError:
            break
os.sync()
"""


@pytest.fixture(scope="module")
def ready(host: Host, tmp_path_factory: pytest.TempPathFactory) -> Host:
    """A host with the product and both images in its store."""
    layouts = tmp_path_factory.mktemp("layouts")
    service.make_versions(layouts)
    service.make_ready(host, layouts)
    for version in ("one", "two"):
        service.publish(host, version)
        atomic(host, "pull", service.IMAGE)
    return host


@contextmanager
def full(host: Host, left: int) -> Iterator[None]:
    """The disk has `left` bytes for the length of the block."""
    host.run(["/usr/bin/python3", "-c", FILL, str(left)])
    try:
        yield
    finally:
        host.run(["rm", "-f", FILLER])


@dataclass(frozen=True, slots=True, kw_only=True)
class Deed:
    """A command that finds its image in the store, and the versions before and after it."""

    argv: tuple[str, ...]
    before: str | None
    after: str


INSTALL = Deed(argv=("install", "--now", "ostree:base"), before=None, after="one")
UPDATE = Deed(
    argv=("containers", "update", "base", "--settle=0", "--no-pull"), before="one", after="two"
)
ROLLBACK = Deed(argv=("containers", "rollback", "base", "--settle=0"), before="two", after="one")


def assert_state(host: Host, version: str | None) -> None:
    if version is None:
        assert_gone(host)
    else:
        assert_runs(host, version)


def assert_told(done: Completed) -> None:
    """One line names the cause, whoever found no room: we, the runtime, or systemd."""
    said = [line for line in done.stderr.splitlines() if line.startswith("atomic: ")]
    assert len(said) == 1 and "no space left on" in said[0].lower(), done.stderr
    assert done.returncode == (8 if "was rolled back: " in said[0] else 1), done.stderr
    assert "hint: make room" in done.stderr


@pytest.mark.parametrize("left", LEFT)
def test_on_a_full_disk(left: int, ready: Host) -> None:
    """What fails changes nothing and says one line; afterwards it works."""
    for deed in (INSTALL, UPDATE, ROLLBACK):
        service.publish(ready, "two" if deed is ROLLBACK else deed.after)
        atomic(ready, "pull", service.IMAGE)
        before = files(ready)
        with full(ready, left):
            done = ready.run(["atomic", *deed.argv], check=False)
            print(left, deed.argv, done.returncode, done.stderr)
            if done.returncode:
                assert_told(done)
                assert difference(before, files(ready)) == ()  # nor is the image remembered as bad
                assert_state(ready, deed.before)
        if done.returncode:
            atomic(ready, *deed.argv)
        if deed is INSTALL:
            ready.run(["systemctl", "start", service.NEEDS])
        assert_state(ready, deed.after)
    atomic(ready, "uninstall", "base")
    assert_gone(ready)
