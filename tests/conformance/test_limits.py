# SPDX-License-Identifier: LGPL-2.1-or-later
"""Bombs: layers that unpack to far more than they are end with one line, and leave nothing."""

import gzip
import io
import os
import subprocess
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from atomic_sys.model.digest import Digest
from atomic_sys.store.images import LayerImport
from tests.support import images, layers
from tests.support.places import Place

pytestmark = pytest.mark.conformance
ROOM = 96 << 20  # bytes of the file system that a bomb must not fill


def zeros(size: int, files: int = 1) -> bytes:
    """Files of many zeros, no two of which are one object."""

    def fill(tar: tarfile.TarFile) -> None:
        for number in range(files):
            content = number.to_bytes(8, "big") + bytes(size - 8)
            tar.addfile(_member(f"zeros{number}", size), io.BytesIO(content))

    return _packed(fill)


def many(count: int) -> bytes:
    """Many empty files."""

    def fill(tar: tarfile.TarFile) -> None:
        for number in range(count):
            tar.addfile(_member(f"{number}", 0))

    return _packed(fill)


def deep(depth: int) -> bytes:
    """Directories in directories."""
    return _packed(lambda tar: tar.addfile(_member("d/" * depth + "file", 0)))


def headed(size: int) -> bytes:
    """A long header before an empty file."""
    member = _member("file", 0)
    member.pax_headers = {"comment": "c" * size}
    return _packed(lambda tar: tar.addfile(member))


def _member(name: str, size: int) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.size = size
    return member


def _packed(fill: Callable[[tarfile.TarFile], None]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        fill(tar)
    return buffer.getvalue()


def layout_of(tar: bytes, path: Path) -> Path:
    """A layout with this one layer, compressed."""
    packed = gzip.compress(tar, 6)
    about = LayerImport(
        digest=Digest.of(packed), diff_id=Digest.of(tar), compressed_size=len(packed)
    )
    layers.write_layout(path, layers.image("bomb", [about]), [packed])
    return path


@pytest.fixture
def top() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(dir="/dev/shm", prefix="limits-test.") as path:
        yield Path(path)


BOMBS = {
    "max_layer_entries: 1000": (many(1001), "more than 1000 entries in one layer"),
    "max_path_depth: 20": (deep(21), "is more than 20 directories deep"),
    "max_header_bytes: 4096": (headed(5000), "more than 4096"),
    "max_layer_bytes: 1048576": (zeros(2 << 20), "more than 1048576 bytes in one layer"),
}


@pytest.mark.parametrize("setting", BOMBS)
def test_a_layer_over_a_limit(top: Path, setting: str) -> None:
    bomb, message = BOMBS[setting]
    layout, place = layout_of(bomb, top / "bomb"), Place.make(top / "root")
    (place.root / "etc").mkdir()
    (place.root / "etc/atomic.conf").write_text(f"{setting}\n")
    _, said = place.atomic("pull", f"oci:{layout}", code=1)
    error, hint = said.splitlines()[-2:]
    assert error.startswith("atomic: ")
    assert message in error
    assert error.endswith(f"({setting.partition(':')[0]})")
    assert hint.startswith(f"hint: /etc/atomic.conf can set {setting.partition(':')[0]} to ")
    place.check()
    place.atomic("images", "prune")
    assert not list(place.repository.glob("objects/*/*"))
    (place.root / "etc/atomic.conf").write_text("")
    place.atomic("pull", f"oci:{layout}")
    place.check()


@pytest.mark.parametrize("files", [1, 48])
def test_a_bomb_does_not_fill_the_disk(top: Path, files: int) -> None:
    layout = layout_of(zeros(2 * ROOM // files, files), top / "bomb")
    mounted = top / "disk"
    mounted.mkdir()
    argv = ["mount", "-t", "tmpfs", "-o", f"size={ROOM}", "none", str(mounted)]
    subprocess.run(argv, check=True)
    try:
        place = Place.make(mounted / "root")
        place.atomic("pull", f"oci:{images.layout(top / 'small')}")
        before = os.statvfs(mounted).f_bfree
        _, said = place.atomic("pull", f"oci:{layout}", code=1)
        assert "are left to others" in said
        assert os.statvfs(mounted).f_bfree > before - 100
        place.check()
        assert place.names() == {"small:latest"}
    finally:
        subprocess.run(["umount", mounted], check=True)
