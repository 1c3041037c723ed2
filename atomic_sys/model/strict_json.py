# SPDX-License-Identifier: LGPL-2.1-or-later
"""JSON without the standard library's leniency: what two readers could read differently is refused.

Refused are duplicate keys (compared after unescaping), NaN and Infinity, a byte order mark, bytes
that are not UTF-8, anything after the value, and nesting that exhausts the reader.
"""

import json
from collections.abc import Mapping
from typing import NoReturn, TypeAlias

from atomic_sys.errors import AtomicSysError

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"


class InvalidJson(AtomicSysError):
    """A document that is not strictly JSON, or has not the shape that it must have."""


def loads(document: bytes, what: str) -> Json:
    """Parse the document; `what` names it in the error.

    Raises InvalidJson, with line and column where they are known.
    """

    def unique(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
        result: dict[str, Json] = {}
        for key, value in pairs:
            if key in result:
                raise InvalidJson(f"{what}: duplicate key {key!r}")
            result[key] = value
        return result

    def no_constant(name: str) -> NoReturn:
        raise InvalidJson(f"{what}: {name} is not JSON")

    try:
        text = document.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InvalidJson(f"{what}: not UTF-8 at byte {error.start}") from None
    try:
        value: Json = json.loads(text, object_pairs_hook=unique, parse_constant=no_constant)
    except json.JSONDecodeError as error:
        message = f"{what}: invalid JSON: {error.msg} at line {error.lineno} column {error.colno}"
        raise InvalidJson(message) from None
    except RecursionError:
        raise InvalidJson(f"{what}: nested too deeply") from None
    except ValueError:  # an integer of more digits than the interpreter converts
        raise InvalidJson(f"{what}: a number is too long") from None
    return value


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
    return tuple(as_string(item, f"an entry of {what}") for item in as_array(value, what))


def as_string_map(value: Json, what: str) -> dict[str, str]:
    """The value if it is an object of strings; an absent (null) one is empty.

    Raises InvalidJson otherwise.
    """
    if value is None:
        return {}
    items = as_object(value, what).items()
    return {key: as_string(item, f"{what}.{key}") for key, item in items}
