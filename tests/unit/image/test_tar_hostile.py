# SPDX-License-Identifier: LGPL-2.1-or-later
"""Archives that want something: each is refused with one line, or read in the one sane way."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atomic_sys.errors import AtomicSysError
from atomic_sys.image.tar_header import InvalidLayer, LimitExceeded
from atomic_sys.model.layer import (
    Directory,
    HardLink,
    OpaqueWhiteout,
    RegularFile,
    SpecialFile,
    Whiteout,
)
from atomic_sys.model.limits import LayerLimits
from tests.support.archives import END, archive, header, long_name, padded, pax, read, record

A = header(b"f")
BIG = b"x" * (2 << 20)
CAPABILITY = b"\1\0\0\2" + bytes(16)

REFUSED = {
    "parent": (header(b"../x"), r"'\.\.'"),
    "absolute parent": (header(b"/../x"), r"'\.\.'"),
    "parent inside": (header(b"a/../b"), r"'\.\.'"),
    "parent at the end": (header(b"a/.."), r"'\.\.'"),
    "parent with slash": (header(b"a/../", b"5"), r"'\.\.'"),
    "parent by pax": (pax({"path": "a/../../b"}) + A, r"'\.\.'"),
    "parent by long name": (long_name(b"a/../../b") + A, r"'\.\.'"),
    "parent in prefix": (header(b"x", prefix=b".."), r"'\.\.'"),
    "empty name": (header(b""), "without a name"),
    "NUL in pax": (pax({"path": b"a\0b"}) + A, "NUL in the path"),
    "NUL in pax link": (pax({"linkpath": b"a\0b"}) + A, "NUL in the linkpath"),
    "name too long": (long_name(b"x" * 256) + A, "255 bytes"),
    "wide name too long": (long_name("ä".encode() * 128) + A, "255 bytes"),
    "directory name too long": (long_name(b"x" * 256 + b"/y") + A, "255 bytes"),
    "path too long": (long_name(b"a/" * 3000 + b"x") + A, "name of 6001 bytes"),
    "not UTF-8": (header(b"caf\xe9"), r"caf\\xe9.* is not UTF-8"),
    "target not UTF-8": (header(b"l", b"2", 0, b"\xff"), "not UTF-8"),
    "root as file": (header(b"./"), "root of the layer"),
    "root as symlink": (header(b".", b"2", 0, b"/etc"), "root of the layer"),
    "root as hard link": (header(b"/", b"1", 0, b"f"), "root of the layer"),
    "symlink to nothing": (header(b"l", b"2"), "link to nothing"),
    "file like a directory": (header(b"f/"), "named like a directory"),
    "hard link to parent": (header(b"l", b"1", 0, b"../../etc/shadow"), r"'\.\.'"),
    "hard link to nothing": (header(b"l", b"1"), "without a name"),
    "hard link to the root": (header(b"l", b"1", 0, b"/"), "a hard link to"),
    "hard link to itself": (header(b"a/l", b"1", 0, b"./a//l"), "to itself"),
    "hard link to a whiteout": (header(b"l", b"1", 0, b"a/.wh.f"), "a hard link to"),
    "whiteout of nothing": (header(b".wh."), "impossible whiteout"),
    "whiteout of dot": (header(b".wh.."), "impossible whiteout"),
    "whiteout of parent": (header(b".wh..."), "impossible whiteout"),
    "whiteout of parent below": (header(b"a/.wh..."), "impossible whiteout"),
    "whiteout of a whiteout": (header(b".wh..wh.x"), "impossible whiteout"),
    "whiteout directory": (header(b".wh.d/f"), "cannot be a whiteout"),
    "negative size": (header(size=b"\xff" * 12), "negative size"),
    "negative octal size": (header(size=b"-0000000001\0"), "no octal number"),
    "size with underscore": (header(size=b"0000000_001\0"), "no octal number"),
    "size in decimal": (header(size=b"00000000009\0"), "no octal number"),
    "huge size": (header(size=b"\x80" + b"\x7f" * 11), "impossible size"),
    "huge pax size": (pax({"size": str(1 << 63)}) + A, "impossible size"),
    "negative pax size": (pax({"size": "-1"}) + A, "no number"),
    "odd pax size": (pax({"size": "1_0"}) + A, "no number"),
    "huge uid": (header(uid=b"\x80\0\0\xff\xff\xff\xff\xff"), "impossible uid"),
    "the uid that is none": (header(uid=b"\x80\0\0\0\xff\xff\xff\xff"), "impossible uid"),
    "negative gid": (header(gid=b"\xff" * 8), "negative gid"),
    "huge pax uid": (pax({"uid": "4294967295"}) + A, "impossible uid"),
    "bad mode": (header(mode=b"rwxr-xr-"), "mode is no octal"),
    "wrong checksum": (header(checksum=b"000001\0 "), "checksum is wrong"),
    "no checksum": (header(checksum=b"zzzzzz\0 "), "checksum is no octal"),
    "no tar": (b"<html>" + b"x" * 2000, "checksum"),
    "sparse": (header(b"f", b"S"), "sparse files"),
    "pax sparse": (pax({"GNU.sparse.major": "1"}) + A, "sparse files"),
    "multi-volume": (header(b"f", b"M"), "multi-volume"),
    "unknown type": (header(b"f", b"Z"), "type 'Z'"),
    "Solaris header": (pax({"path": "x"}, b"X") + A, "type 'X'"),
    "two pax": (pax({"path": "a"}) + pax({"path": "b"}) + A, "two extended"),
    "two long names": (long_name(b"a") + long_name(b"b") + A, "two extended"),
    "two long links": (long_name(b"a", b"K") + long_name(b"b", b"K") + A, "two extended"),
    "pax and long name": (pax({"path": "a"}) + long_name(b"b") + A, "two long names"),
    "pax and long link": (pax({"linkpath": "a"}) + long_name(b"b", b"K") + A, "two long names"),
    "empty long name": (long_name(b"") + A, "empty long name"),
    "global path": (pax({"path": "a"}, b"g") + A, "global extended header sets path"),
    "global size": (pax({"size": "5"}, b"g") + A, "sets size"),
    "global xattr": (pax({"SCHILY.xattr.user.a": "5"}, b"g") + A, "sets SCHILY"),
    "huge pax header": (header(b"x", b"x", len(BIG)) + BIG + A, "header of 2097152 bytes"),
    "huge long name": (header(b"x", b"L", len(BIG)) + BIG + A, "header of 2097152 bytes"),
    "pax at the end": (pax({"path": "a"}), "at the end of the tar"),
    "long name at the end": (long_name(b"a"), "at the end of the tar"),
    "xattr too long": (pax({"SCHILY.xattr.user.a": b"x" * 70_000}) + A, "impossible extended"),
    "xattr name with NUL": (pax({"SCHILY.xattr.user.a\0b": b"x"}) + A, "impossible extended"),
    "something behind": (A + END + b"x", "after the end"),
    "something far behind": (A + bytes(100_000) + b"x", "after the end"),
    "lone zero block": (A + bytes(512) + A, "lone zero block"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name: str) -> None:
    data, message = REFUSED[name]
    if "behind" not in name and "at the end" not in name:
        data += END
    for chunks in ([data], [data[i : i + 100] for i in range(0, len(data), 100)]):
        with pytest.raises(InvalidLayer, match=message):
            read(chunks)


@pytest.mark.parametrize(
    "body",
    [
        b"5 a=",
        b"6 a=b",
        b"99 a=b\n",
        b"0 a=b\n",
        b"-6 a=b\n",
        b"x a=b\n",
        b" a=b\n",
        b"4 a\n",
        b"5 =b\n",
        b"6 a=b\n7",
        b"6 a=bc\n",
        b"9" * 30 + b" a=b\n",
        record(b"path", b"x")[:-1] + b"y",
    ],
)
def test_malformed_records(body: bytes) -> None:
    data = header(b"x", b"x", len(body)) + padded(body) + A + END
    with pytest.raises(InvalidLayer, match="malformed extended header"):
        read(data)


@pytest.mark.parametrize("flag", [b"x", b"L", b"K", b"g"])
def test_negative_extension(flag: bytes) -> None:
    """CVE-2025-8194: a negative size lets a reader run in a circle."""
    with pytest.raises(InvalidLayer, match="negative"):
        read(header(b"x", flag, b"\xff" * 11 + b"\x00") + END)


@pytest.mark.parametrize(
    ("name", "path"),
    [
        (b"/a", ("a",)),
        (b"//a//b/./c", ("a", "b", "c")),
        (b"././a", ("a",)),
        (b"a/.", ("a",)),
        (b"...", ("...",)),
        (b"a..b/..c", ("a..b", "..c")),
        (b".wh", (".wh",)),
        (b"x.wh.y", ("x.wh.y",)),
        (b"a\\b", ("a\\b",)),
        ("ä/日本".encode(), ("ä", "日本")),
        (b"n" * 100, ("n" * 100,)),
    ],
)
def test_names_that_are_fine(name: bytes, path: tuple[str, ...]) -> None:
    ((entry, _),) = read(header(name) + END)
    assert entry.path == path


def test_the_longest_names() -> None:
    ((entry, _),) = read(long_name("ä".encode() * 127 + b"x/" + b"y" * 255) + A + END)
    assert entry.path == ("ä" * 127 + "x", "y" * 255)


def test_whiteouts() -> None:
    data = archive(
        ("file", ".wh.a"),
        ("file", "d/.wh.b"),
        ("file", "d/.wh..wh..opq"),
        ("file", ".wh..wh..opq"),
        ("file", ".wh..hidden"),
        ("char", ".wh.c"),
        ("file", ".wh.full", "with content"),
        ("file", "z"),
    )
    found = read(data)
    assert [entry for entry, _ in found][:-1] == [
        Whiteout(("a",)),
        Whiteout(("d", "b")),
        OpaqueWhiteout(("d",)),
        OpaqueWhiteout(()),
        Whiteout((".hidden",)),
        Whiteout(("c",)),
        Whiteout(("full",)),
    ]
    assert all(content == b"" for _, content in found)


def test_kinds() -> None:
    data = archive(
        ("char", "c"), ("block", "b"), ("fifo", "f"), ("file", "x"), ("hard link", "h", "./x"),
        ("directory", "d"),
    )  # fmt: skip
    entries = [entry for entry, _ in read(data)]
    assert entries[:3] == [
        SpecialFile(("c",), "character device"),
        SpecialFile(("b",), "block device"),
        SpecialFile(("f",), "fifo"),
    ]
    assert isinstance(entries[3], RegularFile)
    assert entries[4] == HardLink(("h",), ("x",))
    assert isinstance(entries[5], Directory)


def test_xattrs() -> None:
    records: dict[str, bytes | str] = {
        "SCHILY.xattr.user.b": b"\0\xff",
        "SCHILY.xattr.user.a": "1=2",
        "SCHILY.xattr.security.capability": CAPABILITY,
        "SCHILY.xattr.security.selinux": "x",
        "SCHILY.xattr.trusted.overlay.opaque": "y",
        "SCHILY.xattr.user.": "z",
        "SCHILY.xattr.system.posix_acl_access": "z",
        "LIBARCHIVE.xattr.user.c": "eA==",
    }
    ((entry, _),) = read(pax(records) + A + END)
    assert isinstance(entry, RegularFile)
    assert entry.metadata.xattrs == (
        (b"security.capability", CAPABILITY),
        (b"user.a", b"1=2"),
        (b"user.b", b"\0\xff"),
    )


def test_limits() -> None:
    data = archive(*(("file", f"f{i}", "x") for i in range(5)))
    assert len(read(data, LayerLimits(entries=5))) == 5
    with pytest.raises(LimitExceeded, match=r"4 entries in one layer \(max_layer_entries\)"):
        read(data, LayerLimits(entries=4))
    assert len(read(data, LayerLimits(unpacked=len(data)))) == 5
    with pytest.raises(LimitExceeded, match=r"bytes in one layer \(max_layer_bytes\)"):
        read(data, LayerLimits(unpacked=len(data) - 1))
    deep = archive(("file", "a/b/c"))
    assert read(deep, LayerLimits(depth=3))
    for depth in (1, 2):
        with pytest.raises(LimitExceeded, match=rf"{depth} directories deep \(max_path_depth\)"):
            read(deep, LayerLimits(depth=depth))
    long = archive(("file", "n" * 120))
    assert read(long, LayerLimits(header=130))
    with pytest.raises(LimitExceeded, match=r"130 bytes, more than 129 \(max_header_bytes\)"):
        read(long, LayerLimits(header=129))


@pytest.mark.parametrize("step", [1, 37])
def test_cut_off(step: int) -> None:
    data = (
        pax({"path": "x/" * 150 + "x"})
        + header(b"n", size=700)
        + padded(b"y" * 700)
        + long_name(b"z")
        + A
    )
    content_end = 1024 + 512 + 700  # from here to the next header only padding can be missing
    next_header = 1024 + 512 + 1024
    for cut in range(1, len(data), step):
        if not content_end <= cut <= next_header:
            with pytest.raises(InvalidLayer, match=r"cut off|at the end"):
                read(data[:cut])
    assert len(read(data[:next_header])) == 1
    assert len(read(data)) == 2


@settings(max_examples=300, deadline=None)
@given(flips=st.lists(st.tuples(st.integers(0, 4095), st.integers(0, 255)), min_size=1, max_size=4))
def test_damage_is_never_a_crash(flips: list[tuple[int, int]]) -> None:
    data = bytearray(
        pax({"path": "x" * 99, "uid": "5"}) + header(b"n", size=7) + padded(b"content")
    )
    data += long_name(b"long") + A + END
    for at, value in flips:
        data[at % len(data)] = value
    try:
        found = read(bytes(data))
    except AtomicSysError:
        return
    for entry, _ in found:
        assert all(part not in ("", ".", "..") and "/" not in part for part in entry.path)
