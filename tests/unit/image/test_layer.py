# SPDX-License-Identifier: LGPL-2.1-or-later
"""Layers as a whole: diff ids, compression, early ends."""

import gzip
import hashlib
import threading
from collections.abc import Generator

import pytest
import zstandard

from atomic_sys.image.layer import read_layer
from atomic_sys.image.zstd_frames import InvalidCompression
from atomic_sys.model.digest import Digest
from atomic_sys.model.layer import RegularFile
from atomic_sys.model.stream import ContentMismatch
from tests.support.archives import archive

TAR = archive(("directory", "d"), ("file", "d/f", b"x" * 3_000_000), ("file", "g", b"y"))
PACKED = {
    "tar": TAR,
    "gzip": gzip.compress(TAR),
    "zstd": zstandard.ZstdCompressor().compress(TAR),
    "two members": gzip.compress(TAR[:1000]) + gzip.compress(TAR[1000:]),
}


def names(blob: bytes, diff_id: Digest | None) -> list[str]:
    found = []
    for entry, content in read_layer([blob], diff_id=diff_id):
        assert sum(map(len, content)) == (entry.size if isinstance(entry, RegularFile) else 0)
        found.append("/".join(entry.path))
    return found


@pytest.mark.parametrize("kind", PACKED)
def test_diff_id(kind: str) -> None:
    sha512 = Digest("sha512", hashlib.sha512(TAR).hexdigest())
    for diff_id in (Digest.of(TAR), sha512, None):
        assert names(PACKED[kind], diff_id) == ["d", "d/f", "g"]
    with pytest.raises(ContentMismatch, match="diff id"):
        names(PACKED[kind], Digest.of(b""))


def test_the_diff_id_is_about_everything() -> None:
    longer = TAR + bytes(5000)
    assert names(gzip.compress(longer), Digest.of(longer)) == ["d", "d/f", "g"]
    with pytest.raises(ContentMismatch):
        names(gzip.compress(longer), Digest.of(TAR))


def test_content_need_not_be_read() -> None:
    stream = read_layer([PACKED["gzip"]], diff_id=Digest.of(TAR))
    assert [entry.path for entry, _ in stream] == [("d",), ("d", "f"), ("g",)]


@pytest.mark.parametrize("kind", ["gzip", "zstd", "two members"])
def test_cut_off(kind: str) -> None:
    with pytest.raises(InvalidCompression):
        names(PACKED[kind][:-1], None)


def test_an_error_of_the_source_comes_through() -> None:
    def broken() -> Generator[bytes, None, None]:
        yield PACKED["gzip"][:100]
        raise ConnectionResetError("gone")

    with pytest.raises(ConnectionResetError, match="gone"):
        names_of = read_layer(broken(), diff_id=None)
        list(names_of)


@pytest.mark.parametrize("how", ["closed", "bad entry"])
def test_the_source_is_closed_early(how: str) -> None:
    closed = threading.Event()

    def source() -> Generator[bytes, None, None]:
        try:
            yield TAR if how == "closed" else archive(("file", "../x"))
            while True:
                yield bytes(1 << 16)
        finally:
            closed.set()

    before = threading.active_count()
    stream = read_layer(source(), diff_id=None)
    if how == "closed":
        next(stream)
        assert isinstance(stream, Generator)
        stream.close()
    else:
        with pytest.raises(Exception, match="'\\.\\.'"):
            next(stream)
    assert closed.is_set()
    assert threading.active_count() == before
