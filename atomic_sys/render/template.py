# SPDX-License-Identifier: LGPL-2.1-or-later
"""A template of an image: its text is hostile, its result is bounded, its errors say where.

Two syntaxes: the predecessor's `$VAR`, `${VAR}`, `$$` (Python's string.Template), where values are
pasted in raw because images that exist depend on it, and Jinja in a sandbox, where values are
escaped for the kind of file that they enter. Neither runs away: text, values and result are limited
and loops have a budget.
"""

import string
from collections.abc import Mapping
from enum import Enum
from typing import TYPE_CHECKING, assert_never

from atomic_sys.errors import AtomicSysError
from atomic_sys.frozen import frozen
from atomic_sys.render.escape import Target
from atomic_sys.render.limits import OUTPUT_LIMIT, TEMPLATE_LIMIT, TemplateError, UnreplacedValue

if TYPE_CHECKING:
    from atomic_sys.render.sandbox import Program


class Syntax(Enum):
    """How a template spells its variables."""

    LEGACY = "$VAR"
    JINJA = "{{ VAR }}"


@frozen
class Template:
    """A template file: `name` is for errors, `text` is what the image brought."""

    name: str
    text: str
    syntax: Syntax
    target: Target

    def variables(self) -> frozenset[str]:
        """The names that the template uses without setting them itself.

        Raises TemplateError for a Jinja template that cannot be parsed.
        """
        match self.syntax:
            case Syntax.LEGACY:
                return legacy_variables(self.text)
            case Syntax.JINJA:
                return self._program().names
            case _:
                assert_never(self.syntax)

    def render(self, strings: Mapping[str, str], typed: Mapping[str, object]) -> str:
        """The text with its variables replaced.

        `strings` holds each value as it was given, `typed` (what Jinja sees) as what it means.
        Raises UnreplacedValue or another TemplateError, with file and line.
        """
        match self.syntax:
            case Syntax.LEGACY:
                return substitute(self.name, self.text, strings)
            case Syntax.JINJA:
                return self._program().run(typed)
            case _:
                assert_never(self.syntax)

    def _program(self) -> "Program":
        # Importing Jinja costs 40 ms: only who has a Jinja template pays for it.
        from atomic_sys.render.sandbox import Program

        return Program.compile(self.name, self.text, self.target)


def decode(name: str, document: bytes, *, limit: int = TEMPLATE_LIMIT) -> str:
    """The text of a template file.

    Raises TemplateError when it is too large, not UTF-8, or holds a NUL.
    """
    if len(document) > limit:
        raise TemplateError(f"{name}: larger than the limit of {limit} bytes")
    try:
        text = document.decode("utf-8")
    except UnicodeDecodeError as error:
        raise TemplateError(f"{name}: not UTF-8 at byte {error.start}") from None
    if "\0" in text:
        raise TemplateError(f"{name}: contains a NUL character")
    return text


def legacy_variables(text: str) -> frozenset[str]:
    """The names that a legacy template uses."""
    matches = string.Template.pattern.finditer(text)
    return frozenset(m["named"] or m["braced"] for m in matches if m["named"] or m["braced"])


def substitute(name: str, text: str, values: Mapping[str, str]) -> str:
    """Replace `$VAR`, `${VAR}` and `$$` as string.Template does, but never beyond OUTPUT_LIMIT.

    Raises UnreplacedValue, or TemplateError for any other `$`, with line and column.
    """
    parts: list[str] = []
    size = position = 0
    for found in string.Template.pattern.finditer(text):
        variable = found["named"] or found["braced"]
        if variable is not None:
            if variable not in values:
                raise UnreplacedValue(name, variable)
            value = values[variable]
        elif found["escaped"] is not None:
            value = "$"
        else:
            raise _invalid_placeholder(name, text, found.start())
        parts += (text[position : found.start()], value)
        size += len(parts[-2]) + len(value)
        if size > OUTPUT_LIMIT:
            raise TemplateError(f"{name}: the result is larger than {OUTPUT_LIMIT} characters")
        position = found.end()
    parts.append(text[position:])
    return "".join(parts)


def _invalid_placeholder(name: str, text: str, position: int) -> AtomicSysError:
    line = text.count("\n", 0, position) + 1
    column = position - (text.rfind("\n", 0, position) + 1) + 1
    return TemplateError(
        f"{name}: Invalid placeholder in string: line {line}, col {column}",
        hint="write $$ for a literal $",
    )
