# SPDX-License-Identifier: LGPL-2.1-or-later
"""JSON without the standard library's leniency: what two readers could read differently is refused.

Refused are duplicate keys (compared after unescaping), NaN and Infinity, a byte order mark, bytes
that are not UTF-8, anything after the value, and nesting that exhausts the reader.
"""

import json
import re
from collections.abc import Mapping
from typing import NoReturn, TypeAlias

from atomic_sys.errors import AtomicSysError

# Enough of JSON's tokens to find again what its reader, which gives no position, stumbled on. A
# string without an end goes to the end of the text, so that no text takes more than linear time.
_TOKEN = re.compile(
    r'(?P<string>"(?:[^"\\]|\\.)*"?)(?P<colon>\s*:)?|(?P<constant>-?Infinity|NaN)|[\[\]{}]',
    re.DOTALL,
)
Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"


class InvalidJson(AtomicSysError):
    """A document that is not strictly JSON, or has not the shape that it must have."""


def loads(document: bytes, what: str) -> Json:
    """Parse the document; `what` names it in the error.

    Raises InvalidJson, with line and column where there are any.
    """
    try:
        text = document.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InvalidJson(f"{what}: not UTF-8 at byte {error.start}") from None

    def unique(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
        result: dict[str, Json] = {}
        for key, value in pairs:
            if key in result:
                raise InvalidJson(f"{what}: duplicate key {key!r}{_at(text, _duplicate(text))}")
            result[key] = value
        return result

    def no_constant(name: str) -> NoReturn:
        raise InvalidJson(f"{what}: {name} is not JSON{_at(text, _constant(text))}")

    try:
        value: Json = json.loads(text, object_pairs_hook=unique, parse_constant=no_constant)
    except json.JSONDecodeError as error:
        message = f"{what}: invalid JSON: {error.msg} at line {error.lineno} column {error.colno}"
        raise InvalidJson(message) from None
    except RecursionError:
        raise InvalidJson(f"{what}: nested too deeply{_at(text, _deepest(text))}") from None
    except ValueError:  # an integer of more digits than the interpreter converts
        raise InvalidJson(f"{what}: a number is too long") from None
    return value


def _at(text: str, position: int) -> str:
    """The position in words, as the standard library counts."""
    line = text.count("\n", 0, position) + 1
    return f" at line {line} column {position - text.rfind(chr(10), 0, position)}"


def _duplicate(text: str) -> int:
    """Where the first key is that its object has already; there is one."""
    seen: list[set[str]] = []
    for token in _TOKEN.finditer(text):
        match token[0][:1], token["colon"]:
            case "{", _:
                seen.append(set())
            case "}", _:
                seen.pop()
            case '"', str():
                key = json.loads(token["string"])
                if key in seen[-1]:
                    return token.start()
                seen[-1].add(key)
            case _:
                continue
    return 0


def _constant(text: str) -> int:
    """Where the first name of a number is that JSON does not have; there is one."""
    names = (t.start() for t in _TOKEN.finditer(text) if t["constant"])
    return next(names, 0)


def _deepest(text: str) -> int:
    """Where the nesting is as deep as it gets."""
    depth = deepest = position = 0
    for token in _TOKEN.finditer(text):
        if token[0] in "[{":
            depth += 1
            if depth > deepest:
                deepest, position = depth, token.start()
        elif token[0] in "]}":
            depth -= 1
    return position


def as_object(value: Json, what: str) -> Mapping[str, Json]:
    """The value if it is an object.

    Raises InvalidJson otherwise.
    """
    if not isinstance(value, dict):
        raise InvalidJson(f"{what} is not an object")
    return value


def as_array(value: Json, what: str) -> list[Json]:
    """The value if it is an array.

    Raises InvalidJson otherwise.
    """
    if not isinstance(value, list):
        raise InvalidJson(f"{what} is not an array")
    return value


def as_string(value: Json, what: str) -> str:
    """The value if it is a string.

    Raises InvalidJson otherwise.
    """
    if not isinstance(value, str):
        raise InvalidJson(f"{what} is not a string")
    return value


def as_integer(value: Json, what: str) -> int:
    """The value if it is an integer (a boolean is none).

    Raises InvalidJson otherwise.
    """
    if not isinstance(value, int) or isinstance(value, bool):
        raise InvalidJson(f"{what} is not an integer")
    return value


def as_strings(value: Json, what: str) -> tuple[str, ...]:
    """The value if it is an array of strings; an absent (null) one is empty.

    Raises InvalidJson otherwise.
    """
    if value is None:
        return ()
    items = as_array(value, what)
    texts = tuple(item for item in items if isinstance(item, str))
    if len(texts) < len(items):
        raise InvalidJson(f"an entry of {what} is not a string")
    return texts


def as_string_map(value: Json, what: str) -> dict[str, str]:
    """The value if it is an object of strings; an absent (null) one is empty.

    Raises InvalidJson otherwise.
    """
    if value is None:
        return {}
    body = as_object(value, what)
    texts = {key: item for key, item in body.items() if isinstance(item, str)}
    for key in body if len(texts) < len(body) else ():
        as_string(body[key], f"{what}.{key}")
    return texts
