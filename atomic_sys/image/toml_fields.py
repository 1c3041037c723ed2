# SPDX-License-Identifier: LGPL-2.1-or-later
"""Values of a decoded TOML file, of the type that they must have or an error."""

from collections.abc import Iterator, Mapping

from atomic_sys.errors import AtomicSysError


class InvalidFile(AtomicSysError):
    """A file that cannot be read the one way it is meant."""


def tables(table: Mapping[str, object], key: str) -> Iterator[Mapping[str, object]]:
    """The tables of an array, none where there is no such key. Raises InvalidFile."""
    for entry in array(table.get(key, [])):
        if not isinstance(entry, dict):
            raise InvalidFile(f"{key} is not an array of tables")
        yield entry


def array(value: object) -> list[object]:
    """The array. Raises InvalidFile."""
    if not isinstance(value, list):
        raise InvalidFile(f"{str(value)[:80]!r} is not an array")
    return value


def string(table: Mapping[str, object], key: str) -> str:
    """The string, empty where there is no such key. Raises InvalidFile."""
    value = table.get(key, "")
    if not isinstance(value, str):
        raise InvalidFile(f"{key} is not a string")
    return value


def flag(table: Mapping[str, object], key: str) -> bool:
    """The boolean, false where there is no such key. Raises InvalidFile."""
    value = table.get(key, False)
    if not isinstance(value, bool):
        raise InvalidFile(f"{key} is neither true nor false")
    return value
