# SPDX-License-Identifier: LGPL-2.1-or-later
"""GVariant's serialisation, as far as OSTree's objects use it: little-endian, byte for byte.

Values are str for `s`, bytes for `ay`, int for the integers, (TYPE, VALUE) for `v`, tuples for
tuples and dictionary entries, tuples of elements for arrays. Source: the GVariant specification.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

from atomic_sys.errors import Damaged

Variant: TypeAlias = "str | bytes | int | Sequence[Variant]"

_INTEGERS = {"y": "<B", "b": "<B", "i": "<i", "u": "<I", "x": "<q", "t": "<Q"}
_OFFSET_FORMATS = ((1, "B"), (2, "H"), (4, "I"), (8, "Q"))
_MAX_DEPTH = 16  # nested containers; what we read has five


@dataclass(frozen=True, slots=True)
class _Type:
    """A parsed type: how it is aligned, its size if that is fixed, what it is made of."""

    text: str
    alignment: int
    size: int | None
    members: tuple["_Type", ...] = ()


def align(position: int, alignment: int) -> int:
    """The first multiple of the alignment that is not below the position."""
    return -(-position // alignment) * alignment


def offset_format(body: int, count: int) -> str:
    """The struct code of the framing offsets of a container with that many of them after it."""
    fitting = (code for size, code in _OFFSET_FORMATS if body + size * count < 1 << (8 * size))
    return next(fitting)


def offset_size(total: int) -> int:
    """The width in bytes of the framing offsets in a container of this total size."""
    if total < 1 << 8:  # nearly always
        return 1
    return next(size for size, _ in _OFFSET_FORMATS if total < 1 << (8 * size))


@lru_cache(maxsize=256)
def _parse(text: str) -> _Type:
    parsed, end = _parse_at(text, 0, 0)
    if end != len(text):
        raise Damaged(f"invalid variant type {text[:80]!r}")
    return parsed


def _parse_at(text: str, start: int, depth: int) -> tuple[_Type, int]:
    code = text[start : start + 1]
    if depth > _MAX_DEPTH:
        raise Damaged("a variant type is nested too deeply")
    if code in _INTEGERS:
        size = struct.calcsize(_INTEGERS[code])
        return _Type(code, size, size), start + 1
    if code == "s":
        return _Type(code, 1, None), start + 1
    if code == "v":
        return _Type(code, 8, None), start + 1
    if code == "a":
        element, end = _parse_at(text, start + 1, depth + 1)
        return _Type(text[start:end], element.alignment, None, (element,)), end
    if code not in ("(", "{"):
        raise Damaged(f"unsupported variant type {text[:80]!r}")
    members: list[_Type] = []
    position = start + 1
    while text[position : position + 1] != {"(": ")", "{": "}"}[code]:
        member, position = _parse_at(text, position, depth + 1)
        members.append(member)
    return _tuple_type(text[start : position + 1], tuple(members)), position + 1


def _tuple_type(text: str, members: tuple[_Type, ...]) -> _Type:
    alignment = max((member.alignment for member in members), default=1)
    size: int | None = 0
    for member in members:
        if member.size is None or size is None:
            size = None
        else:
            size = align(size, member.alignment) + member.size
    return _Type(text, alignment, None if size is None else align(size or 1, alignment), members)


def serialise(text: str, value: Variant) -> bytes:
    """The bytes of this value of this type."""
    return _serialise(_parse(text), value)


def _serialise(kind: _Type, value: Variant) -> bytes:
    match kind.text[0], value:
        case "s", str():
            return value.encode("utf-8") + b"\0"
        case "a", bytes() if kind.text == "ay":
            return value
        case "v", (str() as text, inner):
            return _serialise(_parse(text), inner) + b"\0" + text.encode("ascii")
        case "a", [*elements]:
            return _serialise_array(kind, elements)
        case (("(" | "{"), [*elements]):
            return _serialise_tuple(kind, elements)
        case code, int() if code in _INTEGERS:
            return struct.pack(_INTEGERS[code], value)
    raise TypeError(f"{type(value).__name__} is no value of the variant type {kind.text}")


def _serialise_array(kind: _Type, values: Sequence[Variant]) -> bytes:
    element = kind.members[0]
    body = bytearray()
    ends: list[int] = []
    for value in values:
        body.extend(bytes(align(len(body), element.alignment) - len(body)))
        body += _serialise(element, value)
        ends.append(len(body))
    if element.size is None:
        body += struct.pack(f"<{len(ends)}{offset_format(len(body), len(ends))}", *ends)
    return bytes(body)


def _serialise_tuple(kind: _Type, values: Sequence[Variant]) -> bytes:
    body = bytearray()
    ends: list[int] = []
    for member, value in zip(kind.members, values, strict=True):
        body.extend(bytes(align(len(body), member.alignment) - len(body)))
        body += _serialise(member, value)
        if member.size is None:
            ends.append(len(body))
    if kind.members and kind.members[-1].size is None:
        ends.pop()  # the last member ends where the framing offsets begin
    if kind.size is not None:
        body.extend(bytes(kind.size - len(body)))
    elif ends:
        code = offset_format(len(body), len(ends))
        body += struct.pack(f"<{len(ends)}{code}", *reversed(ends))
    return bytes(body)


def deserialise(text: str, data: bytes) -> Variant:
    """The value of this type that the bytes hold.

    Raises Damaged where they are not in normal form: nothing is guessed.
    """
    kind = _parse(text)
    try:
        value = _deserialise(kind, data, 0)
        if _serialise(kind, value) != data:
            raise ValueError("not in normal form")
    except (ValueError, IndexError, struct.error, UnicodeError) as error:
        raise Damaged(f"damaged object: no value of type {text}: {error}") from None
    return value


def _deserialise(kind: _Type, data: bytes, depth: int) -> Variant:
    if depth > _MAX_DEPTH:
        raise ValueError("nested too deeply")
    match kind.text[0]:
        case "s":
            if data[-1:] != b"\0" or b"\0" in data[:-1]:
                raise ValueError("a string without its end")
            return data[:-1].decode("utf-8")
        case "v":
            body, _, text = data.rpartition(b"\0")
            return text.decode("ascii"), _deserialise(_parse(text.decode("ascii")), body, depth + 1)
        case "a":
            return data if kind.text == "ay" else _deserialise_array(kind, data, depth)
        case "(" | "{":
            return _deserialise_tuple(kind, data, depth)
        case code:
            number: int = struct.unpack(_INTEGERS[code], data)[0]
            return number


def _deserialise_array(kind: _Type, data: bytes, depth: int) -> Variant:
    element = kind.members[0]
    if not data:
        return ()
    if element.size is not None:
        starts = range(0, len(data), element.size)
        return tuple(_deserialise(element, data[i : i + element.size], depth + 1) for i in starts)
    size = offset_size(len(data))
    first = int.from_bytes(data[-size:], "little")
    offsets = data[first:]
    if first > len(data) or len(offsets) % size:
        raise ValueError("framing offsets out of range")
    values: list[Variant] = []
    start = 0
    for at in range(0, len(offsets), size):
        start = align(start, element.alignment)
        end = int.from_bytes(offsets[at : at + size], "little")
        if not start <= end <= first:
            raise ValueError("framing offsets out of order")
        values.append(_deserialise(element, data[start:end], depth + 1))
        start = end
    return tuple(values)


def _deserialise_tuple(kind: _Type, data: bytes, depth: int) -> Variant:
    size = offset_size(len(data))
    frame = len(data)  # where the framing offsets begin, which are read from the end
    start = 0
    values: list[Variant] = []
    for index, member in enumerate(kind.members):
        start = align(start, member.alignment)
        if member.size is not None:
            end = start + member.size
        elif index == len(kind.members) - 1:
            end = frame
        else:
            end = int.from_bytes(data[frame - size : frame], "little")
            frame -= size
        if not start <= end <= frame:
            raise ValueError("a member out of range")
        values.append(_deserialise(member, data[start:end], depth + 1))
        start = end
    return tuple(values)
