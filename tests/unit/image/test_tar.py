# SPDX-License-Identifier: LGPL-2.1-or-later
"""Sane archives: tarfile is the oracle, for all formats and any cut of the stream into chunks."""

import io
import tarfile
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atomic_sys.image.tar import TarInput, TarReader
from atomic_sys.image.tar_header import InvalidLayer, Kind, Member
from atomic_sys.model.layer import Directory, Metadata, RegularFile, Symlink
from tests.support.archives import END, TYPES, archive, header, long_name, padded, pax, read

FORMATS = (tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT)


def cut(data: bytes, size: int) -> Iterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


def members(data: bytes, size: int = 1 << 20) -> list[tuple[Member, bytes]]:
    source = TarInput(cut(data, size))
    return [(m, b"".join(source.content(m.size))) for m in TarReader(source).members()]


_NAMES = st.text(st.characters(codec="utf-8", exclude_characters="\0/"), min_size=1, max_size=60)
_PATHS = st.lists(_NAMES, min_size=1, max_size=6).map("/".join)
_IDS = st.one_of(st.integers(0, 0o7777777), st.integers(0, (1 << 32) - 2))


@st.composite
def infos(draw: st.DrawFn) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(draw(_PATHS))
    info.type = draw(st.sampled_from(sorted(TYPES.values())))
    info.mode = draw(st.integers(0, 0o7777))
    info.uid, info.gid = draw(_IDS), draw(_IDS)
    info.mtime = draw(st.one_of(st.integers(0, 1 << 33), st.floats(0, 1 << 33)))
    content = b""
    if info.type == tarfile.REGTYPE:
        content = draw(st.binary(max_size=2000))
        info.size = len(content)
    elif info.type in (tarfile.LNKTYPE, tarfile.SYMTYPE):
        info.linkname = draw(_PATHS)
    return info, content


@settings(max_examples=200, deadline=None)
@given(
    wanted=st.lists(infos(), max_size=6),
    format_=st.sampled_from(FORMATS[1:]),
    size=st.sampled_from([1, 100, 512, 700, 1 << 16]),
)
def test_tarfile_reads_the_same(
    wanted: list[tuple[tarfile.TarInfo, bytes]], format_: int, size: int
) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=format_) as tar:
        for info, content in wanted:
            tar.addfile(info, io.BytesIO(content))
    data = buffer.getvalue()
    found = members(data, size)
    with tarfile.open(fileobj=io.BytesIO(data)) as oracle:
        for (member, content), info in zip(found, oracle, strict=True):
            assert member.name.decode().rstrip("/") == info.name.rstrip("/")
            assert member.target.decode() == info.linkname
            assert member.kind == info.type[0]
            file = oracle.extractfile(info) if info.isreg() else None
            assert content == (b"" if file is None else file.read())
            assert member.metadata == Metadata(info.uid, info.gid, info.mode)


@pytest.mark.parametrize("format_", FORMATS)
@pytest.mark.parametrize("size", [0, 1, 511, 512, 513, 100_000])
def test_content(format_: int, size: int) -> None:
    content = bytes(i % 251 for i in range(size))
    data = archive(("file", "a", content), ("file", "b", b"after"), format_=format_)
    for chunk in (1, 511, 512, 1000, 1 << 20):
        assert [c for _, c in members(data, chunk)] == [content, b"after"]


def test_what_is_not_read_is_skipped() -> None:
    data = archive(("file", "a", b"x" * 5000), ("file", "b", b"y" * 5000), ("file", "c", b"z"))
    for size in (100, 1 << 20):
        source = TarInput(cut(data, size))
        names = []
        for member in TarReader(source).members():
            names.append(member.name)
            if member.name == b"b":
                next(iter(source.content(member.size)))
        assert names == [b"a", b"b", b"c"]


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (header(b"n" * 100), b"n" * 100),
        (header(b"n", prefix=b"p" * 155), b"p" * 155 + b"/n"),
        (header(b"n", prefix=b"p", magic=b"ustar  \0"), b"n"),
        (header(b"n", prefix=b"p", magic=b""), b"n"),
        (header(b"n", prefix=b"p" * 131 + b"123", tail=b"00000000tar\0"), b"p" * 131 + b"/n"),
        (long_name(b"l" * 600) + header(b"n"), b"l" * 600),
        (pax({"path": "p" * 600}) + header(b"n", prefix=b"q"), b"p" * 600),
        (pax({"path": ""}) + header(b"n"), b"n"),
        (pax({"path": "a", "comment": "x=y\nz"}) + header(b"n"), b"a"),
        (pax({"comment": "x"}, b"g") + header(b"n"), b"n"),
        (pax({"comment": "x"}, b"g") + pax({"path": "p"}) + header(b"n"), b"p"),
        (long_name(b"target", b"K") + header(b"n", b"2"), b"n"),
    ],
)
def test_names(data: bytes, name: bytes) -> None:
    ((member, _),) = members(data + END)
    assert member.name == name


def test_extensions_hold_for_one_member() -> None:
    data = pax({"path": "x", "uid": "7", "SCHILY.xattr.user.a": "1"}) + header(b"n")
    data += header(b"m") + long_name(b"long") + long_name(b"t", b"K") + header(b"o", b"2")
    (first, _), (second, _), (third, _) = members(data + END)
    assert (first.name, first.metadata.uid, first.metadata.xattrs) == (
        b"x",
        7,
        ((b"user.a", b"1"),),
    )
    assert (second.name, second.metadata.uid, second.metadata.xattrs) == (b"m", 0, ())
    assert (third.name, third.target) == (b"long", b"t")


def test_the_pax_size_is_the_files_alone() -> None:
    """CVE-2025-62518: applied to the long name's header, it lets a file hide others."""
    hidden = padded(header(b"hidden"))
    content = hidden + b"x" * 100
    data = pax({"size": str(len(content))}) + long_name(b"outer") + header(b"n", size=0)
    data += padded(content) + header(b"last")
    found = members(data + END)
    assert [(m.name, c) for m, c in found] == [(b"outer", content), (b"last", b"")]


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        (b"00000000005\0", 5),
        (b"5", 5),
        (b"     5 \0", 5),
        (b"000000000005", 5),
        (b"5\0 7", 5),
        (b"\x80" + bytes(10) + b"\x05", 5),
        (b"", 0),
    ],
)
def test_numbers(size: bytes, expected: int) -> None:
    ((member, content),) = members(header(size=size) + padded(b"x" * expected) + END)
    assert (member.size, content) == (expected, b"x" * expected)


def test_v7() -> None:
    data = header(b"d/", b"\0", magic=b"") + header(b"f", b"\0", 1, magic=b"") + padded(b"x") + END
    assert [m.kind for m, _ in members(data)] == [Kind.DIRECTORY, Kind.OLD_REGULAR]


def test_size_of_what_has_no_content() -> None:
    data = b"".join(header(b"x", bytes([flag]), 5000, b"t") for flag in b"123456") + END
    assert [m.size for m, _ in members(data)] == [0] * 6


def test_checksum_of_signed_bytes() -> None:
    name = b"\xc3\xa4" * 5
    block = header(name)
    unsigned = int(block[148:154], 8)
    old = header(name, checksum=b"%06o\0 " % (unsigned - 256 * 10))
    assert members(block + old + END)[0] == members(block + old + END)[1]


def test_full_headers_have_exact_checksums() -> None:
    full = {"prefix": b"\xff" * 155, "tail": b"\xff" * 12}
    block = header(b"\xff" * 100, b"2", 0, b"\xff" * 100, **full)
    right = int(block[148:154], 8)
    assert right > 65521, "this is about sums that adler32 folds"
    assert len(members(block + END)) == 1
    folded = header(
        b"\xff" * 100, b"2", 0, b"\xff" * 100, checksum=b"%06o\0 " % (right - 65521), **full
    )
    with pytest.raises(InvalidLayer, match="checksum"):
        members(folded + END)


@pytest.mark.parametrize("end", [b"", bytes(512), END, bytes(10240), END + bytes(77)])
def test_ends(end: bytes) -> None:
    assert len(members(header() + end)) == 1
    assert members(end) == []


def test_a_global_number_field_is_cheap_and_right() -> None:
    data = b"".join(
        header(b"%d" % i, uid=b"%07o\0" % i, gid=b"%07o\0" % (i + 1), mode=b"%07o\0" % 0o104755)
        for i in range(3)
    )
    wanted = [Metadata(i, i + 1, 0o4755) for i in range(3)]
    assert [m.metadata for m, _ in members(data + END)] == wanted


def test_entries() -> None:
    data = archive(
        ("directory", "./"), ("directory", "./d"), ("file", "./d/f", "x"), ("symlink", "/l", "../t")
    )
    root, directory, file, link = (entry for entry, _ in read(data))
    assert (root, directory) == (
        Directory((), Metadata(0, 0, 0o644)),
        Directory(("d",), Metadata(0, 0, 0o644)),
    )
    assert file == RegularFile(("d", "f"), Metadata(0, 0, 0o644), 1)
    assert link == Symlink(("l",), Metadata(0, 0, 0o644), "../t")


def test_only_the_padding_at_the_very_end_may_be_missing() -> None:
    """`umoci insert` leaves it away, with the two blocks of zeros that should follow."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        info = tarfile.TarInfo("a")
        info.size = 700
        archive.addfile(info, io.BytesIO(b"x" * 700))
    archive_bytes = stream.getvalue()
    whole = 512 + 700

    def names(content: bytes) -> list[bytes]:
        return [member.name for member in TarReader(TarInput([content])).members()]

    assert names(archive_bytes[:whole]) == [b"a"]
    assert names(archive_bytes[: whole + 100]) == [b"a"]
    with pytest.raises(InvalidLayer, match="cut off"):
        names(archive_bytes[: whole - 1])
