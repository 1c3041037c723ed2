# SPDX-License-Identifier: LGPL-2.1-or-later
"""Change one value in the text of a JSON document, and leave every other character as it is.

The text must be valid already, and without duplicate keys: model.strict_json says so. Pure.
"""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from atomic_sys.model.strict_json import Json

_SPACE = re.compile(r"[ \t\r\n]*")
_INDENT = re.compile(r"\n([ \t]+)\S")
_DEFAULT_INDENT = "    "
_DECODER = json.JSONDecoder()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Member:
    """A member of an object, by offsets in the text: its key, its value and their ends."""

    key: str
    start: int
    value: int
    end: int


def set_value(text: str, path: Sequence[str], value: Json) -> str:
    """The text with this value at the path; objects on the way are made where they are missing.

    Raises ValueError where something on the way is no object.
    """
    start, depth = _skip(text, 0), 0
    for key in path:
        found = {member.key: member for member in _members(text, start)}
        if key not in found:
            missing = path[depth + 1 :]
            for name in reversed(missing):
                value = {name: value}
            return _insert(text, start, key, value, depth)
        start, depth = found[key].value, depth + 1
    end = _end(text, start)
    return text[:start] + _dumps(value, _indent(text), depth) + text[end:]


def delete(text: str, path: Sequence[str]) -> str:
    """The text without the member at the path. Raises KeyError where there is none."""
    start = _skip(text, 0)
    for key in path[:-1]:
        start = {member.key: member for member in _members(text, start)}[key].value
    members = list(_members(text, start))
    index = next((i for i, member in enumerate(members) if member.key == path[-1]), None)
    if index is None:
        raise KeyError(path[-1])
    if len(members) == 1:
        return text[:start] + "{}" + text[_end(text, start) :]
    if index + 1 < len(members):  # up to the next one, so that its indentation becomes ours
        return text[: members[index].start] + text[members[index + 1].start :]
    return text[: members[index - 1].end] + text[members[index].end :]


def _skip(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    return at if match is None else match.end()


def _end(text: str, start: int) -> int:
    return _DECODER.raw_decode(text, start)[1]


def _members(text: str, start: int) -> Iterator[_Member]:
    if text[start] != "{":
        raise ValueError("not an object")
    at = _skip(text, start + 1)
    while text[at] != "}":
        key, colon = _DECODER.raw_decode(text, at)
        value = _skip(text, _skip(text, colon) + 1)
        end = _end(text, value)
        yield _Member(key=key, start=at, value=value, end=end)
        at = _skip(text, end)
        if text[at] == ",":
            at = _skip(text, at + 1)


def _insert(text: str, start: int, key: str, value: Json, depth: int) -> str:
    """The text with one more member at the end of the object at `start`."""
    unit = _indent(text)
    member = f"{json.dumps(key, ensure_ascii=False)}: {_dumps(value, unit, depth + 1)}"
    members = list(_members(text, start))
    outer = "\n" + unit * depth
    if not members:
        return f"{text[:start]}{{{outer}{unit}{member}{outer}}}{text[_end(text, start) :]}"
    last = members[-1].end
    own_line = "\n" in text[start : members[0].start]
    separator = f",{outer}{unit}" if own_line else ", "
    return f"{text[:last]}{separator}{member}{text[last:]}"


def _dumps(value: Json, unit: str, depth: int) -> str:
    lines = json.dumps(value, indent=unit, ensure_ascii=False).split("\n")
    return f"\n{unit * depth}".join(lines)


def _indent(text: str) -> str:
    """What the document indents by: the first indentation in it."""
    match = _INDENT.search(text)
    return _DEFAULT_INDENT if match is None else match[1]
