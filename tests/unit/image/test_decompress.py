# SPDX-License-Identifier: LGPL-2.1-or-later
"""Decompression: real outputs of gzip and zstd, cut at many places, with and without isal."""

import bz2
import contextlib
import gzip
import io
import lzma
import random
import struct
import sys
import tracemalloc
import zlib
from collections.abc import Iterator

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from atomic_sys.image.decompress import OUTPUT, decompressed
from atomic_sys.image.zstd_frames import InvalidCompression

RANDOM = random.Random(5)  # noqa: S311 - test data
CONTENT = RANDOM.randbytes(70_000) + bytes(300_000) + b"text " * 20_000
SKIPPABLE = struct.pack("<II", 0x184D2A53, 5) + b"hello"


def zstd(content: bytes, *, checksum: bool = True, sized: bool = True) -> bytes:
    """One frame; without `sized`, as a compressor writes it that does not know what comes."""
    compressor = zstandard.ZstdCompressor(write_checksum=checksum)
    if sized:
        return compressor.compress(content)
    stream = compressor.compressobj()
    return stream.compress(content) + stream.flush()


def gzip_with_header(content: bytes, flags: int) -> bytes:
    """A member whose header has everything that the flags say."""
    header = b"\x1f\x8b\x08" + bytes([flags]) + bytes(5) + b"\xff"
    header += b"\x03\x00abc" if flags & 4 else b""
    header += b"name\0" if flags & 8 else b""
    header += b"comment\0" if flags & 16 else b""
    header += struct.pack("<H", zlib.crc32(header) & 0xFFFF) if flags & 2 else b""
    return header + gzip.compress(content)[10:]


def pieces(data: bytes, size: int) -> Iterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


def run(data: bytes, size: int = 1 << 20) -> bytes:
    return b"".join(decompressed(pieces(data, size)))


@pytest.fixture(params=["isal", "zlib"], autouse=True)
def _library(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "zlib":
        monkeypatch.setitem(sys.modules, "isal", None)
    else:
        pytest.importorskip("isal")


SANE = {
    "tar": (CONTENT, CONTENT),
    "empty": (b"", b""),
    "short": (b"abc", b"abc"),
    "gzip": (gzip.compress(CONTENT), CONTENT),
    "gzip of nothing": (gzip.compress(b""), b""),
    "gzip members": (
        gzip.compress(CONTENT) + gzip.compress(b"") + gzip.compress(b"b"),
        CONTENT + b"b",
    ),
    **{
        f"gzip flags {flags}": (gzip_with_header(CONTENT, flags), CONTENT)
        for flags in (2, 4, 8, 16, 30)
    },
    "zstd": (zstd(CONTENT), CONTENT),
    "zstd of nothing": (zstd(b""), b""),
    "zstd bare": (zstd(CONTENT, checksum=False, sized=False), CONTENT),
    "zstd frames": (zstd(CONTENT) + zstd(b"b", sized=False), CONTENT + b"b"),
    "zstd skippable": (
        SKIPPABLE + zstd(CONTENT) + SKIPPABLE + zstd(b"b") + SKIPPABLE,
        CONTENT + b"b",
    ),
}
COMPRESSED = {name: pair for name, pair in SANE.items() if name.startswith(("gzip", "zstd"))}


@pytest.mark.parametrize("name", SANE)
@pytest.mark.parametrize("size", [1, 7, 4096, 65_536, 1 << 20])
def test_sane(name: str, size: int) -> None:
    data, content = SANE[name]
    assert run(data, size) == content


def test_many_small_members() -> None:
    assert run(b"".join(gzip.compress(b"%d," % i) for i in range(5000)), 1000).count(b",") == 5000


@pytest.mark.parametrize("name", COMPRESSED)
def test_cut_off(name: str) -> None:
    data, content = COMPRESSED[name]
    # Where one member or frame ends, a shorter stream is whole; its content is a shorter one too.
    cuts = {*range(1, min(len(data), 64)), *range(max(1, len(data) - 40), len(data))}
    cuts |= {RANDOM.randrange(1, len(data)) for _ in range(40)}
    for cut in sorted(cuts):
        try:
            found = run(data[:cut], 50_000)
        except InvalidCompression:
            continue
        if cut < 6:
            continue  # too short to have a kind: that is a tar archive, and the tar reader's
        assert name in ("gzip members", "zstd frames", "zstd skippable"), cut
        assert content.startswith(found), cut


@pytest.mark.parametrize("name", COMPRESSED)
@pytest.mark.parametrize(
    "garbage", [b"\0", b"garbage", b"\x1f\x8b\x08", b"\x28\xb5\x2f", bytes(512)]
)
def test_garbage_behind(name: str, garbage: bytes) -> None:
    for size in (50_000, 1 << 20):
        with pytest.raises(InvalidCompression):
            run(COMPRESSED[name][0] + garbage, size)


@pytest.mark.parametrize("name", ["gzip", "zstd"])
def test_damage(name: str) -> None:
    data = bytearray(COMPRESSED[name][0])
    for at in [len(data) - 1, len(data) - 3, *(RANDOM.randrange(20, len(data)) for _ in range(40))]:
        data[at] ^= 0x55
        with contextlib.suppress(InvalidCompression):
            assert run(bytes(data)) == CONTENT, at  # a bit that means nothing
        data[at] ^= 0x55


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (lzma.compress(CONTENT), "xz"),
        (bz2.compress(CONTENT), "bzip2"),
        (b"\x04\x22\x4d\x18" + bytes(99), "lz4"),
    ],
)
def test_refused_by_name(data: bytes, name: str) -> None:
    with pytest.raises(InvalidCompression, match=f"by {name} are not supported"):
        run(data, 2)


@pytest.mark.parametrize("kind", ["gzip", "zstd", "zstd bare"])
def test_a_bomb_comes_in_chunks(kind: str) -> None:
    size = 256 << 20
    if kind == "gzip":
        buffer = io.BytesIO()
        with gzip.GzipFile(fileobj=buffer, mode="wb") as stream:
            for _ in range(size >> 20):
                stream.write(bytes(1 << 20))
        bomb = buffer.getvalue()
    else:
        bomb = zstd(bytes(size), sized=kind == "zstd")
    tracemalloc.start()
    total = 0
    for chunk in decompressed([bomb]):
        assert len(chunk) <= OUTPUT
        total += len(chunk)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert total == size
    assert peak < 32 << 20


def test_a_huge_window_is_refused() -> None:
    frame = struct.pack("<IBB", 0xFD2FB528, 0, 0xF8) + b"\x01\x00\x00"
    with pytest.raises(InvalidCompression):
        run(frame)


@given(parts=st.lists(st.binary(max_size=300), max_size=5), size=st.integers(1, 50))
def test_frames_and_members(parts: list[bytes], size: int) -> None:
    for data in (
        b"".join(zstd(part, checksum=len(part) % 2 == 0, sized=size % 2 == 0) for part in parts),
        b"".join(map(gzip.compress, parts)),
    ):
        assert run(data, size) == b"".join(parts)
