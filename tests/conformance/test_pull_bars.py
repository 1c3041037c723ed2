# SPDX-License-Identifier: LGPL-2.1-or-later
"""The promises of `make bench` about pulls, for images that a test can afford.

No byte is sent twice; memory does not grow with the image. What a whole GiB costs is measured by
benchmarks/pull_bars.py.
"""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.pull_bars import CUTS, MEMORY_BAR, Server, make_image, pull

pytestmark = pytest.mark.conformance
MEBIBYTES = 64


@pytest.fixture
def directory(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with tempfile.TemporaryDirectory(dir="/dev/shm", prefix="bars.") as path:
        yield Path(path)


def image_size(server: Server) -> int:
    return sum(blob.stat().st_size for blob in server.blobs.values())


@pytest.mark.parametrize("compression", ["gzip", "zstd"])
def test_twenty_cuts_cost_no_byte(directory: Path, compression: str) -> None:
    server = make_image(directory / "image", MEBIBYTES, 1, compression)
    size = image_size(server)
    server.cuts = [size * (number + 1) // (CUTS + 1) for number in range(CUTS)]
    pull(server, directory)
    assert server.cuts == [], "all of them were made"
    assert server.sent == size


@pytest.mark.parametrize("compression", ["gzip", "zstd"])
@pytest.mark.parametrize("layers", [1, 8])
def test_memory(directory: Path, compression: str, layers: int) -> None:
    """Of all processes together, with one file that is larger than the bar in the one layer."""
    server = make_image(directory / "image", 4 * MEBIBYTES, layers, compression)
    assert pull(server, directory) < MEMORY_BAR
    assert server.sent == image_size(server)
