# SPDX-License-Identifier: LGPL-2.1-or-later
"""A member of a JSON object put or dropped, and no other byte of the text changed.

The text is known to be strictly valid (model.strict_json): no key is there twice. New text is
written as the rest is: in its line ends, its indentation, or on one line where all of it is.
"""

import json
import re
from collections.abc import Sequence

from atomic_sys.frozen import frozen
from atomic_sys.model.strict_json import Json

_DECODER = json.JSONDecoder()
_SPACE = re.compile(r"[ \t\r\n]*")
_INDENT = re.compile(r"[ \t]*")
_FIRST_INDENT = re.compile(r"\s*\{[ \t]*\r?\n([ \t]+)")
_DEFAULT_INDENT = "    "


@frozen
class _Member:
    """A member of an object: where its key begins, and its value."""

    key: str
    start: int
    value: int
    end: int


@frozen
class _Object:
    """An object of the text: its members, and the places of its two braces."""

    opening: int
    members: tuple[_Member, ...]
    closing: int

    def find(self, key: str) -> _Member | None:
        return next((member for member in self.members if member.key == key), None)


def dump(value: Json) -> str:
    """The value as JSON text on one line."""
    return json.dumps(value, ensure_ascii=False)


def put(text: str, path: Sequence[str], value: Json) -> str:
    """The text with `value` at `path`; objects that are missing on the way to it are made."""
    style = _Style.of(text)
    found = _scan(text, _skip(text, 0))
    for number, key in enumerate(path):
        member = found.find(key)
        if member is None:
            for name in reversed(path[number + 1 :]):
                value = {name: value}
            return _insert(text, found, key, value, style)
        if number == len(path) - 1:
            new = style.render(value, _indent_of(text, member.start))
            return text[: member.value] + new + text[member.end :]
        found = _scan(text, member.value)
    raise ValueError("an empty path")


def drop(text: str, path: Sequence[str]) -> str:
    """The text without the member at `path`, which is there."""
    found = _scan(text, _skip(text, 0))
    for key in path[:-1]:
        member = found.find(key)
        if member is None:
            raise KeyError(key)
        found = _scan(text, member.value)
    keys = [member.key for member in found.members]
    number = keys.index(path[-1])
    member = found.members[number]
    if len(keys) == 1:
        return text[: found.opening + 1] + text[found.closing :]
    if number == len(keys) - 1:  # with the comma before it
        return text[: found.members[number - 1].end] + text[member.end :]
    return text[: member.start] + text[found.members[number + 1].start :]


@frozen
class _Style:
    """How the text is laid out; `indent` is None where all of it is on one line."""

    indent: str | None
    newline: str

    @classmethod
    def of(cls, text: str) -> "_Style":
        newline = "\r\n" if "\r\n" in text else "\n"
        if "\n" not in text.strip():
            return cls(indent=None, newline=newline)
        first = _FIRST_INDENT.match(text)
        return cls(indent=first[1] if first else _DEFAULT_INDENT, newline=newline)

    def render(self, value: Json, margin: str) -> str:
        """The value; its lines but the first begin with `margin`."""
        shown = json.dumps(value, indent=self.indent, ensure_ascii=False)
        return shown.replace("\n", self.newline + margin)


def _insert(text: str, found: _Object, key: str, value: Json, style: _Style) -> str:
    """The text with a further member at the end of an object."""
    name = json.dumps(key, ensure_ascii=False)
    if not found.members:
        margin = _indent_of(text, found.opening)
        if style.indent is None:
            new = f"{name}: {style.render(value, '')}"
        else:
            inner = margin + style.indent
            new = f"{style.newline}{inner}{name}: {style.render(value, inner)}"
            new += style.newline + margin
        return text[: found.opening + 1] + new + text[found.closing :]
    last = found.members[-1]
    before = text[found.members[-2].end + 1 if len(found.members) > 1 else found.opening + 1 :]
    space = _SPACE.match(before)
    separator = space[0] if space and "\n" in space[0] else " "
    if "\n" in separator:  # no blank lines that the last one had before it
        separator = style.newline + separator.rpartition("\n")[2]
    margin = _indent_of(text, last.start)
    new = f",{separator}{name}: {style.render(value, margin)}"
    return text[: last.end] + new + text[last.end :]


def _indent_of(text: str, position: int) -> str:
    """The white space that the line of this position begins with."""
    match = _INDENT.match(text, text.rfind("\n", 0, position) + 1)
    return match[0] if match else ""


def _skip(text: str, position: int) -> int:
    match = _SPACE.match(text, position)
    return match.end() if match else position


def _scan(text: str, opening: int) -> _Object:
    """The members of the object that begins here."""
    members: list[_Member] = []
    position = _skip(text, opening + 1)
    while text[position] != "}":
        start = position
        key, end = _DECODER.raw_decode(text, start)
        value = _skip(text, _skip(text, end) + 1)  # behind the colon
        _, end = _DECODER.raw_decode(text, value)
        members.append(_Member(key=key, start=start, value=value, end=end))
        position = _skip(text, end)
        if text[position] == ",":
            position = _skip(text, position + 1)
    return _Object(opening=opening, members=tuple(members), closing=position)
