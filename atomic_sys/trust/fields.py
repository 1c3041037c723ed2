# SPDX-License-Identifier: LGPL-2.1-or-later
"""Objects of a strict JSON document: every key is expected, every value has its type.

Errors name the place in JSONPath notation: `policy.json: $.transports.docker["a.example"][0].type`.
"""

import base64
import re
from collections.abc import Mapping, Sequence
from typing import Self

from atomic_sys.frozen import frozen
from atomic_sys.model.strict_json import InvalidJson, Json, as_array, as_object, as_string

_PLAIN_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_BASE64 = re.compile(r"[A-Za-z0-9+/]*={0,2}")
_KEY_SHOWN = 120  # characters of a key that an error quotes


def step(where: str, key: str | int) -> str:
    """The place one key or one index below `where`."""
    if isinstance(key, int):
        return f"{where}[{key}]"
    return f"{where}.{key}" if _PLAIN_KEY.fullmatch(key) else f'{where}["{key[:_KEY_SHOWN]}"]'


def text(value: Json, where: str) -> str:
    """The value if it is a string of Unicode scalars.

    Raises InvalidJson otherwise: half a surrogate pair can be neither a path nor printed.
    """
    string = as_string(value, where)
    if any("\ud800" <= character <= "\udfff" for character in string):
        raise InvalidJson(f"{where} has half a surrogate pair")
    return string


def base64_bytes(value: Json, where: str) -> bytes:
    """The bytes of a string in the standard base64 alphabet with padding; line ends are skipped.

    Raises InvalidJson for anything else.
    """
    string = text(value, where).replace("\r", "").replace("\n", "")
    if len(string) % 4 or not _BASE64.fullmatch(string):
        raise InvalidJson(f"{where} is not base64")
    return base64.b64decode(string, validate=True)


def texts(value: Json, where: str) -> tuple[str, ...]:
    """The value if it is an array of strings. Raises InvalidJson otherwise."""
    return tuple(text(item, step(where, i)) for i, item in enumerate(as_array(value, where)))


@frozen
class Fields:
    """One object, whose keys are known to be among those that it may have."""

    where: str
    values: Mapping[str, Json]

    @classmethod
    def of(
        cls, value: Json, where: str, *, required: Sequence[str] = (), optional: Sequence[str] = ()
    ) -> Self:
        """Check the keys of an object.

        Raises InvalidJson for a value that is no object, an unknown key and a missing one.
        """
        values = as_object(value, where)
        for key in values:
            if key not in required and key not in optional:
                raise InvalidJson(f"{where}: unknown key {key[:_KEY_SHOWN]!r}")
        for key in required:
            if key not in values:
                raise InvalidJson(f"{where}: the key {key!r} is missing")
        return cls(where=where, values=values)

    def __contains__(self, key: str) -> bool:
        return key in self.values

    def at(self, key: str) -> str:
        """The place of one value, for an error message."""
        return step(self.where, key)

    def text(self, key: str) -> str:
        """The string of this key. Raises InvalidJson when it is none."""
        return text(self.values[key], self.at(key))

    def filled_text(self, key: str) -> str:
        """The string of this key. Raises InvalidJson when it is none, or empty."""
        value = self.text(key)
        if not value:
            raise InvalidJson(f"{self.at(key)} is empty")
        return value

    def at_most_one(self, keys: Sequence[str]) -> str | None:
        """Which one of the keys is there. Raises InvalidJson when several are."""
        found = [key for key in keys if key in self.values]
        if len(found) > 1:
            raise InvalidJson(f"{self.where}: {' and '.join(found)} exclude each other")
        return found[0] if found else None

    def exactly_one(self, keys: Sequence[str]) -> str:
        """Which one of the keys is there. Raises InvalidJson when none is, or several are."""
        found = self.at_most_one(keys)
        if found is None:
            raise InvalidJson(f"{self.where}: one of {', '.join(keys)} is missing")
        return found
