# SPDX-License-Identifier: LGPL-2.1-or-later
"""The shape of a signed message, on messages made by hand."""

import bz2
import contextlib
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atomic_sys.trust.openpgp import MESSAGE_LIMIT, InvalidMessage, literal_content

OPS = bytes((3, 0, 8, 22, *range(8), 1))
CONTENT = b"content"


def old(tag: int, body: bytes) -> bytes:
    """A packet in old format, with the shortest length that fits."""
    kind = 0 if len(body) < 1 << 8 else 1 if len(body) < 1 << 16 else 2
    return bytes((0x80 | tag << 2 | kind,)) + len(body).to_bytes(1 << kind, "big") + body


def new(tag: int, body: bytes) -> bytes:
    """A packet in new format, with the shortest length that fits."""
    size = len(body)
    if size < 192:
        length = bytes((size,))
    elif size < 8384:
        length = ((size - 192) + (192 << 8)).to_bytes(2, "big")
    else:
        length = b"\xff" + size.to_bytes(4, "big")
    return bytes((0xC0 | tag,)) + length + body


def indeterminate(tag: int, body: bytes) -> bytes:
    return bytes((0x80 | tag << 2 | 3,)) + body


def partial(tag: int, body: bytes) -> bytes:
    """A packet in parts: 512 octets, 1 octet, the rest."""
    first, second, rest = body[:512], body[512:513], body[513:]
    return bytes((0xC0 | tag, 0xE9)) + first + b"\xe0" + second + bytes((len(rest),)) + rest


def literal(content: bytes = CONTENT) -> bytes:
    return b"b\x01n" + bytes(4) + content


def raw_deflate(data: bytes) -> bytes:
    compressor = zlib.compressobj(wbits=-15)
    return compressor.compress(data) + compressor.flush()


SIGNED = new(4, OPS) + new(11, literal()) + new(2, b"s")
ZLIB = b"\2" + zlib.compress(SIGNED)
LONG = bytes(range(256)) * 2 + b"x"


@pytest.mark.parametrize(
    ("message", "content"),
    [
        (SIGNED, CONTENT),
        (old(4, OPS) + old(11, literal()) + old(2, b"s"), CONTENT),
        (old(2, b"s") + old(11, literal()), CONTENT),
        (old(2, b"s") + indeterminate(11, literal()), CONTENT),
        (new(4, OPS) + partial(11, literal(LONG)) + old(2, b"s"), LONG),
        (new(4, OPS) + new(11, literal(LONG)) + new(2, b"s"), LONG),
        (new(4, OPS) + old(11, literal(LONG)) + new(2, b"s"), LONG),
        (new(4, OPS) + new(11, literal(LONG * 200)) + new(2, b"s"), LONG * 200),
        (new(4, OPS) + old(11, literal(LONG * 200)) + new(2, b"s"), LONG * 200),
        (new(4, OPS) + new(11, literal(b"")) + new(2, b"s"), b""),
        (indeterminate(8, b"\1" + raw_deflate(SIGNED)), CONTENT),
        (indeterminate(8, ZLIB), CONTENT),
        (old(8, ZLIB), CONTENT),
        (new(8, b"\3" + bz2.compress(SIGNED)), CONTENT),
    ],
)
def test_signed_message(message: bytes, content: bytes) -> None:
    assert literal_content(message) == content


BOMB = b"\0" * (MESSAGE_LIMIT + 1)
BROKEN: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "not one"),
    "armor": (b"-----BEGIN PGP MESSAGE-----", "binary"),
    "large": (BOMB, "more than"),
    "unsigned": (new(11, literal()), "not one"),
    "signature only": (new(2, b"s"), "not one"),
    "literal first": (new(11, literal()) + new(2, b"s"), "not one"),
    "encrypted": (new(1, b"k") + new(18, b"x"), "not one"),
    "two messages": (SIGNED + SIGNED, "not one"),
    "two literals": (new(4, OPS) + new(11, literal()) * 2 + new(2, b"s"), "not one"),
    "two signatures": (new(4, OPS) + new(11, literal()) + new(2, b"s") * 2, "not one"),
    "two signers": (new(4, OPS) * 2 + new(11, literal()) + new(2, b"s") * 2, "not one"),
    "marker": (new(10, b"PGP") + SIGNED, "not one"),
    "trailing packet": (SIGNED + new(11, literal()), "not one"),
    "trailing text": (SIGNED + b"\n", "binary"),
    "nested flag": (
        new(4, OPS[:-1] + b"\0") + new(11, literal()) + new(2, b"s"), "nested",
    ),
    "empty one-pass": (new(4, b"") + new(11, literal()) + new(2, b"s"), "nested"),
    "compressed twice": (new(8, b"\2" + zlib.compress(new(8, ZLIB))), "not one"),
    "after compressed": (new(8, ZLIB) + new(2, b"s"), "not one"),
    "after stream": (indeterminate(8, ZLIB + b"x"), "after the end"),
    "two streams": (indeterminate(8, b"\3" + bz2.compress(SIGNED) * 2), "after the end"),
    "cut stream": (new(8, ZLIB[:-5]), "truncated"),
    "bad stream": (new(8, b"\2junk"), "damaged"),
    "bad bzip2": (new(8, b"\3junkjunkjunk"), "damaged"),
    "bad method": (new(8, b"\x09x"), "unknown compression"),
    "no method": (new(8, b""), "unknown compression"),
    "zlib bomb": (new(8, b"\2" + zlib.compress(BOMB)), "decompressed"),
    "zip bomb": (new(8, b"\1" + raw_deflate(BOMB)), "decompressed"),
    "bzip2 bomb": (new(8, b"\3" + bz2.compress(BOMB)), "decompressed"),
    "no length": (b"\xc4", "truncated"),
    "cut length": (b"\xcb\xc0", "truncated"),
    "cut long length": (b"\xcb\xff\0", "truncated"),
    "cut old length": (b"\xa1\0", "truncated"),
    "cut body": (SIGNED[:-1], "truncated"),
    "literal of nothing": (new(2, b"s") + new(11, b""), "literal"),
    "literal without name": (new(2, b"s") + new(11, b"b"), "literal"),
    "cut literal": (new(2, b"s") + new(11, b"b\x09name"), "literal"),
}  # fmt: skip


@pytest.mark.parametrize("case", BROKEN)
def test_anything_else(case: str) -> None:
    message, reason = BROKEN[case]
    with pytest.raises(InvalidMessage, match=reason):
        literal_content(message)


@given(st.binary() | st.tuples(st.sampled_from([SIGNED, new(8, ZLIB)]), st.integers(0, 999)).map(
    lambda pair: bytes(b ^ (1 << pair[1] % 8) * (i == pair[1] // 8) for i, b in enumerate(pair[0]))
))  # fmt: skip
def test_never_crashes(message: bytes) -> None:
    with contextlib.suppress(InvalidMessage):
        literal_content(message)
