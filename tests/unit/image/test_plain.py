# SPDX-License-Identifier: LGPL-2.1-or-later
"""The quick ways for what is plain: they give what the careful ways give, or leave it to them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atomic_sys.image import tar
from atomic_sys.image.layer_path import Paths
from atomic_sys.image.tar import TarInput, TarReader
from atomic_sys.image.tar_header import InvalidLayer, Member, plain
from atomic_sys.model.layer import LayerPath
from atomic_sys.model.limits import LayerLimits
from tests.support.archives import END, field, header

VALUES = (0, 1, 0x20, 0x2F, 0x30, 0x35, 0x37, 0x38, 0x4C, 0x78, 0x7F, 0x80, 0xC0, 0xFF)
PLAIN = {
    "file": header(b"dir/file", size=3),
    "directory": header(b"dir/", b"5", mode=field(0o755, 8)),
    "GNU": header(b"file", size=3, magic=b"ustar  \0"),
    "long": header(b"n" * 100, size=3, uid=field(0o7777777, 8)),
    "bright": header(b"\xff" * 100, size=3),
}


def outcome(block: bytes) -> list[Member] | str:
    """The members of an archive with this header, or why there are none."""
    try:
        return list(TarReader(TarInput([block + bytes(512) + END])).members())
    except InvalidLayer as error:
        return str(error)


@pytest.mark.parametrize("name", PLAIN)
def test_they_are_plain(name: str) -> None:
    assert plain(PLAIN[name]) is not None


@pytest.mark.parametrize("name", PLAIN)
def test_any_byte_of_a_header(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """One byte is another, with the checksum that was right, and with one that is."""
    changed = []
    for at in range(512):
        for value in VALUES:
            block = bytearray(PLAIN[name])
            block[at] = value
            changed.append(bytes(block))
            if not 148 <= at < 156:
                block[148:156] = b" " * 8
                block[148:156] = b"%06o\0 " % sum(block)
                changed.append(bytes(block))
    quick = [outcome(block) for block in changed]
    monkeypatch.setattr(tar, "plain", lambda _header: None)
    assert quick == [outcome(block) for block in changed]


def parsed(paths: Paths, name: bytes) -> LayerPath | str:
    try:
        return paths.parse(name)
    except InvalidLayer as error:
        return str(error)


NAMES = st.lists(
    st.text("ab./w\u00e9", max_size=8).map(str.encode)
    | st.sampled_from([b"a/b", b"a/.wh.b", b"a/..", b"a/\xff", b"a/" + b"n" * 255, b"a/b/c/d/e"])
    | st.sampled_from([b"a/" + b"n" * 256, b"b/" * 2000 + b"n", b"b/" * 2000 + b"n" * 200, b"a/"]),
    max_size=6,
)


@given(NAMES)
def test_names_one_after_the_other(names: list[bytes]) -> None:
    """What a name means has nothing to do with the names before it."""
    for depth in (3, 3000):
        limits = LayerLimits(depth=depth)
        paths = Paths(limits)
        for name in names:
            assert parsed(paths, name) == parsed(Paths(limits), name)


@given(NAMES)
def test_a_plain_name_is_not_special(names: list[bytes]) -> None:
    paths = Paths(LayerLimits())
    for name in names:
        path = parsed(paths, name)
        if isinstance(path, tuple):
            assert not {"", ".", ".."} & set(path)
            assert all(0 < len(part.encode()) <= 255 for part in path)
