# SPDX-License-Identifier: LGPL-2.1-or-later
"""Bombs for the memory: layers of a few kilobytes that would be gigabytes as a tree.

Each is pulled by the real command, which must end with one line and must not have grown by then.
"""

import gzip
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from atomic_sys.model.digest import Digest
from atomic_sys.store.images import LayerImport
from tests.support import layers
from tests.support.archives import header, long_name, pax
from tests.support.hostile import tar
from tests.support.places import Place

pytestmark = pytest.mark.conformance
MOST = 192 << 10  # KiB that the command may have; 45 MiB are the interpreter's and its libraries'
# The most of this process alone: that of a child begins with what its parent had when it forked.
CODE = """
import re, sys
from atomic_sys.__main__ import run
code = run(sys.argv[1:])
with open("/proc/self/status") as status:
    print(re.search(r"VmHWM:\\s*(\\d+) kB", status.read())[1])
sys.exit(code)
"""
DOWN = b"d/" * 240


def entries() -> Iterator[bytes]:
    """Many empty files, 30 MiB that are far less than one when compressed."""
    return (header(b"%d" % number) for number in range(60_000))


def implied() -> Iterator[bytes]:
    """Files far down, each in directories of its own that have no entry."""
    for number in range(1500):
        yield long_name(b"%d/" % number + DOWN + b"f") + header(b"f")


def left_out() -> Iterator[bytes]:
    """FIFOs far down, which are remembered by their paths."""
    for number in range(40_000):
        yield long_name(DOWN + b"%d" % number) + header(b"f", b"6")


def whiteouts() -> Iterator[bytes]:
    """Whiteouts far down, which are as well."""
    for number in range(40_000):
        yield long_name(DOWN + b".wh.%d" % number) + header(b"f")


def attributes() -> Iterator[bytes]:
    """Directories with as many extended attributes as a header can hold."""
    for number in range(300):
        records = {f"SCHILY.xattr.user.{n}": b"%d" % number + bytes(65_000) for n in range(15)}
        yield pax(dict(records)) + header(b"%d" % number, b"5")


TOO_MANY = "too many whiteouts, hard links, special files, or directories without an entry"
BOMBS = {
    "entries": (entries, "more than 50000 entries in one layer (max_layer_entries)"),
    "implied": (implied, TOO_MANY),
    "left out": (left_out, TOO_MANY),
    "whiteouts": (whiteouts, TOO_MANY),
    "attributes": (attributes, "more than 16777216 bytes of extended attributes of directories"),
}


@pytest.fixture
def top() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(dir="/dev/shm", prefix="memory-test.") as path:
        yield Path(path)


@pytest.mark.parametrize("bomb", BOMBS)
def test_a_bomb_does_not_fill_the_memory(top: Path, bomb: str) -> None:
    members, message = BOMBS[bomb]
    unpacked = tar(*members())
    packed = gzip.compress(unpacked, 1)
    about = LayerImport(
        digest=Digest.of(packed), diff_id=Digest.of(unpacked), compressed_size=len(packed)
    )
    layout, place = top / "bomb", Place.make(top / "root")
    layers.write_layout(layout, layers.image("bomb", [about]), [packed])
    (place.root / "etc").mkdir()
    (place.root / "etc/atomic.conf").write_text("max_layer_entries: 50000\n")
    done = subprocess.run(
        [sys.executable, "-c", CODE, *place.arguments("pull", f"oci:{layout}")],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    said = [line for line in done.stderr.splitlines() if line.startswith("atomic: ")]
    assert message in said[0]
    assert len(said) == 1
    used = int(done.stdout.splitlines()[-1])
    assert used < MOST, f"{used >> 10} MiB"
    place.check()
    place.atomic("images", "prune")
    assert not list(place.repository.glob("objects/*/*"))
