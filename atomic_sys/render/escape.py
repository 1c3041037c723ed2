# SPDX-License-Identifier: LGPL-2.1-or-later
"""How a value is written so that it stays one value: in JSON, and in systemd's files.

Sources: RFC 8259 section 7; systemd.syntax(7), systemd.unit(5) "Specifiers", systemd.service(5)
"Command lines"; tmpfiles.d(5).
"""

import json
from enum import Enum
from typing import assert_never

from atomic_sys.render.limits import OUTPUT_LIMIT, TemplateError


class Target(Enum):
    """The kind of file that a template makes; it decides how Jinja escapes what it prints."""

    JSON = "json"
    UNIT = "unit"  # systemd's own formats: units and tmpfiles.d


class Escaped(str):
    """Text that is fit for its target already, and is not escaped again."""

    __slots__ = ()


def escape(target: Target, value: object) -> Escaped:
    """What `{{ value }}` prints, without a filter.

    A string in JSON is meant to stand between quotes that the template brings, as in
    `"{{ DIRECTORY }}/data"`. Raises TemplateError for what has no such form.
    """
    match value:
        case Escaped():
            return value
        case bool():
            return Escaped("true" if value else "false")
        case int() | float():
            return Escaped(value)
        case str():
            pass
        case _:
            raise TemplateError(f"a {type(value).__name__} is not text: use the filter tojson")
    match target:
        case Target.JSON:
            return Escaped(json.dumps(value)[1:-1])
        case Target.UNIT:
            return unit(value)
        case _:
            assert_never(target)


def to_json(value: object) -> Escaped:
    """The value as JSON. Raises TemplateError when it cannot be, or becomes too large."""
    parts: list[str] = []
    size = 0
    try:
        for part in json.JSONEncoder(allow_nan=False).iterencode(value):
            size += len(part)
            if size > OUTPUT_LIMIT:
                raise TemplateError("the JSON text of a value is too large")
            parts.append(part)
    except (TypeError, ValueError, RecursionError) as error:
        raise TemplateError(f"a value cannot be written as JSON: {error}") from None
    return Escaped("".join(parts))


def unit(value: object) -> Escaped:
    """Text in a setting of a unit: no control characters, and `%` is no specifier.

    Raises TemplateError for a control character: a line break would start another setting.
    """
    if isinstance(value, Escaped):
        return value
    text = _plain(value)
    bad = next((c for c in text if c != "\t" and is_control(c)), None)
    if bad is not None:
        raise TemplateError(f"a value for a systemd file contains the control character {bad!r}")
    return Escaped(text.replace("%", "%%"))


def word(value: object) -> Escaped:
    """One argument of a command line, or one field of a tmpfiles.d line, quoted where it must be.

    Raises TemplateError for a control character.
    """
    text = unit(_plain(value))
    return Escaped(_quoted(text.replace("$", "$$")))


def field(value: str) -> Escaped:
    """One field of a tmpfiles.d line, quoted where it must be; `$` means nothing there.

    Raises TemplateError for a control character.
    """
    return Escaped(_quoted(unit(value)))


def is_control(character: str) -> bool:
    """Whether it is a control character (C0, DEL, C1) or a line or paragraph separator."""
    code = ord(character)
    return code < 0x20 or 0x7F <= code < 0xA0 or code in (0x2028, 0x2029)


def _plain(value: object) -> str:
    if not isinstance(value, str | int | float):
        raise TemplateError(f"a {type(value).__name__} is not text")
    return str(value)


def _quoted(text: str) -> str:
    if text and not any(c in " \t\"'\\;" for c in text) and text[0] not in "@-:+!|#":
        return text
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
