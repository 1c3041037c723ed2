# SPDX-License-Identifier: LGPL-2.1-or-later
"""The outer shape of a signed message, looked at before gpg is asked.

gpg accepts much that is no signature of an image: cleartext, armor, several messages, data after
the end. Only a message of exactly this shape gets as far as gpg (RFC 4880, 4.2 and 11.3):
[compressed data of] one-pass signature, literal data, signature; or signature, literal data.
"""

import bz2
import zlib
from collections.abc import Iterator
from enum import IntEnum
from typing import Protocol

from atomic_sys.errors import AtomicSysError
from atomic_sys.frozen import frozen

MESSAGE_LIMIT = 4 << 20  # bytes, of the message as stored and of what is in it


class InvalidMessage(AtomicSysError):
    """Bytes that are not one signed message."""


class Tag(IntEnum):
    """The packets that a signed message can have (RFC 4880, 4.3)."""

    SIGNATURE = 2
    ONE_PASS_SIGNATURE = 4
    COMPRESSED = 8
    LITERAL = 11


@frozen
class _Packet:
    tag: int
    body: bytes


class _Inflater(Protocol):
    """What the decompressors of zlib and bz2 have in common."""

    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int, /) -> bytes: ...


_ORDERS = (
    (Tag.ONE_PASS_SIGNATURE, Tag.LITERAL, Tag.SIGNATURE),
    (Tag.SIGNATURE, Tag.LITERAL),
)


def literal_content(message: bytes) -> bytes:
    """What the message says is signed; whether the signature is any good is for gpg to say.

    Raises InvalidMessage for every other shape, and for more than MESSAGE_LIMIT bytes.
    """
    if len(message) > MESSAGE_LIMIT:
        raise InvalidMessage(f"a signature of more than {MESSAGE_LIMIT} bytes")
    packets = list(_packets(message))
    if [packet.tag for packet in packets] == [Tag.COMPRESSED]:
        packets = list(_packets(_decompressed(packets[0].body)))
    tags = tuple(packet.tag for packet in packets)
    if tags not in _ORDERS:
        raise InvalidMessage("not one signed OpenPGP message")
    # The last octet of a one-pass signature is 0 when another one follows (RFC 4880, 5.4).
    if tags[0] == Tag.ONE_PASS_SIGNATURE and packets[0].body[-1:] in (b"", b"\0"):
        raise InvalidMessage("a nested signature")
    return _literal(packets[1].body)


def _literal(body: bytes) -> bytes:
    """The content of a literal packet, after format, file name and date (RFC 4880, 5.9)."""
    header = 2 + body[1] + 4 if len(body) > 1 else 0
    if not header or len(body) < header:
        raise InvalidMessage("a truncated literal packet")
    return body[header:]


def _decompressed(body: bytes) -> bytes:
    """The content of a compressed packet that is exactly one stream (RFC 4880, 5.6)."""
    stream: _Inflater
    match body[:1]:
        case b"\1":
            stream = zlib.decompressobj(wbits=-zlib.MAX_WBITS)
        case b"\2":
            stream = zlib.decompressobj()
        case b"\3":
            stream = bz2.BZ2Decompressor()
        case _:
            raise InvalidMessage("an unknown compression")
    try:
        content = stream.decompress(body[1:], MESSAGE_LIMIT + 1)
    except (zlib.error, OSError):
        raise InvalidMessage("damaged compressed data") from None
    if len(content) > MESSAGE_LIMIT:
        raise InvalidMessage(f"more than {MESSAGE_LIMIT} bytes when decompressed")
    if not stream.eof:
        raise InvalidMessage("truncated compressed data")
    if stream.unused_data:
        raise InvalidMessage("data after the end of the compressed data")
    return content


def _packets(data: bytes) -> Iterator[_Packet]:
    at = 0
    while at < len(data):
        first = data[at]
        if not first & 0x80:
            raise InvalidMessage("not a binary OpenPGP message")
        if first & 0x40:
            tag = first & 0x3F
            body, at = _new_body(data, at + 1)
        else:
            tag = first >> 2 & 0xF
            body, at = _old_body(data, at)
        yield _Packet(tag=tag, body=body)


def _cut(data: bytes, start: int, size: int) -> tuple[bytes, int]:
    end = start + size
    if end > len(data):
        raise InvalidMessage("a truncated packet")
    return data[start:end], end


def _number(data: bytes, start: int, size: int) -> tuple[int, int]:
    octets, end = _cut(data, start, size)
    return int.from_bytes(octets, "big"), end


def _old_body(data: bytes, at: int) -> tuple[bytes, int]:
    """Old format: the two low bits say how long the length is; 3 is up to the end of the data."""
    kind = data[at] & 3
    if kind == 3:
        return data[at + 1 :], len(data)
    size, start = _number(data, at + 1, 1 << kind)
    return _cut(data, start, size)


def _new_body(data: bytes, at: int) -> tuple[bytes, int]:
    """New format: one, two or five octets of length, or a chain of parts (RFC 4880, 4.2.2)."""
    parts: list[bytes] = []
    while True:
        first, at = _number(data, at, 1)
        partial = 224 <= first < 255
        if first < 192:
            size = first
        elif first < 224:
            second, at = _number(data, at, 1)
            size = ((first - 192) << 8) + second + 192
        elif partial:
            size = 1 << (first & 0x1F)
        else:
            size, at = _number(data, at, 4)
        part, at = _cut(data, at, size)
        parts.append(part)
        if not partial:
            return b"".join(parts), at
