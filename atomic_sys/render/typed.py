# SPDX-License-Identifier: LGPL-2.1-or-later
"""Values with a declared type: text on the command line, a number or a list in a Jinja template.

Legacy templates get the text as it was given. Source: the contract, section 4 (`values` of
manifest.json); mounts are those of the OCI runtime-spec, config.md "Mounts".
"""

import json
import posixpath
from collections.abc import Mapping
from enum import Enum
from typing import assert_never

from atomic_sys.errors import UsageError
from atomic_sys.model import strict_json
from atomic_sys.model.strict_json import InvalidJson, Json, as_array, as_object, as_string
from atomic_sys.render.escape import is_control

_TRUE = ("true", "yes", "on", "1")
_FALSE = ("false", "no", "off", "0")


class ValueType(Enum):
    """What the text of a value means."""

    STRING = "string"
    INTEGER = "int"
    BOOLEAN = "bool"
    PATH = "path"
    LIST = "list"
    MOUNTS = "mounts"


def parse(name: str, value_type: ValueType, text: str) -> Json:
    """What the text means.

    A list is a JSON array of strings, or words with commas in between. Mounts are a JSON array, or
    the predecessor's `,{...},{...}`, or `SOURCE:DESTINATION[:OPTION,...]` with spaces in between.
    Raises UsageError, naming the value, when the text is not of the type.
    """
    try:
        match value_type:
            case ValueType.STRING:
                return text
            case ValueType.INTEGER:
                return _integer(text)
            case ValueType.BOOLEAN:
                return _boolean(text)
            case ValueType.PATH:
                return checked_path(text)
            case ValueType.LIST:
                return _list(text)
            case ValueType.MOUNTS:
                return _mounts(text)
            case _:
                assert_never(value_type)
    except (ValueError, InvalidJson) as error:
        raise UsageError(f"invalid value for {name}: {error}") from None


def as_text(value: Json) -> str:
    """A default of manifest.json, whatever its JSON type, as a user would write it."""
    return value if isinstance(value, str) else json.dumps(value)


def checked_path(text: str) -> str:
    """An absolute path in its normal form.

    Raises ValueError for a relative one, or one with `..` or control characters.
    """
    if not text.startswith("/") or ".." in text.split("/") or any(map(is_control, text)):
        raise ValueError(f"{text!r} is not an absolute path without '..'")
    return "/" + posixpath.normpath(text).lstrip("/")


def _integer(text: str) -> int:
    digits = text.removeprefix("-")
    if not digits.isascii() or not digits.isdigit() or len(digits) > 18:
        raise ValueError(f"{text[:40]!r} is not an integer")
    return int(text)


def _boolean(text: str) -> bool:
    if text.lower() not in _TRUE + _FALSE:
        raise ValueError(f"{text[:40]!r} is neither true nor false")
    return text.lower() in _TRUE


def _list(text: str) -> Json:
    if not text.lstrip().startswith("["):
        return [item.strip() for item in text.split(",") if item.strip()]
    items = as_array(strict_json.loads(text.encode(), "the list"), "the list")
    return [as_string(item, "an item of the list") for item in items]


def _mounts(text: str) -> Json:
    bare = text.strip().removeprefix(",").strip()
    if not bare.startswith(("[", "{")):
        return [_short_mount(word) for word in bare.split()]
    document = bare if bare.startswith("[") else f"[{bare}]"
    mounts = as_array(strict_json.loads(document.encode(), "the mounts"), "the value")
    return [dict(_mount(as_object(mount, "a mount"))) for mount in mounts]


def _mount(mount: Mapping[str, Json]) -> Mapping[str, Json]:
    checked_path(as_string(mount.get("destination"), "the destination of a mount"))
    return mount


def _short_mount(word: str) -> Json:
    source, colon, rest = word.partition(":")
    destination, _, options = rest.partition(":")
    if not colon:
        raise ValueError(f"{word!r} is not SOURCE:DESTINATION[:OPTIONS]")
    chosen = [option for option in options.split(",") if option]
    return {
        "type": "bind",
        "source": checked_path(source),
        "destination": checked_path(destination),
        "options": ["rbind", *(chosen or ["rw"])],
    }
