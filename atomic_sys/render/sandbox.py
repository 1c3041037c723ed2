# SPDX-License-Identifier: LGPL-2.1-or-later
"""Jinja for templates that are not trusted: no loader, no escape, no runaway, errors with a line.

This is the only module of the room that imports Jinja; it is imported by whoever has a Jinja
template. What the language may express is in `grammar`; here is what it may cost.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from types import CodeType, TracebackType
from typing import NoReturn, assert_never

from jinja2 import StrictUndefined, Template, TemplateSyntaxError, Undefined, meta
from jinja2.exceptions import TemplateError as JinjaError
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment

from atomic_sys.errors import AtomicSysError
from atomic_sys.render import escape, grammar
from atomic_sys.render.escape import Target
from atomic_sys.render.limits import (
    INTEGER_BITS,
    ITERATIONS,
    LIST_LIMIT,
    OUTPUT_LIMIT,
    TemplateError,
    UnreplacedValue,
)

Scalar = str | int | float


class _Environment(ImmutableSandboxedEnvironment):
    """One for each rendering: it counts what that rendering may still spend."""

    intercepted_binops = frozenset(["+", "-", "*", "/", "//", "%", "**"])

    def __init__(self, target: Target) -> None:
        super().__init__(
            undefined=StrictUndefined,
            autoescape=False,
            loader=None,
            cache_size=0,
            optimized=False,
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=True,
            finalize=partial(_finalize, target),
        )
        self._iterations = ITERATIONS
        self.globals = {"range": _range}
        self.tests = {name: self.tests[name] for name in grammar.TESTS}
        self.filters = {name: self.filters[name] for name in grammar.PLAIN_FILTERS}
        self.filters |= {
            **_escapes(target),
            "join": _join,
            "string": _string,
            grammar.CONCAT_FILTER: _join,
            grammar.BUDGET_FILTER: self._budgeted,
        }

    def call_binop(self, context: Context, operator: str, left: object, right: object) -> object:
        """Numbers within 64 bits; `+` also for text and lists, within their limits."""
        match left, right:
            case (int() | float(), int() | float()) if operator != "**":
                result: object = super().call_binop(context, operator, left, right)
                if isinstance(result, int) and result.bit_length() > INTEGER_BITS:
                    raise TemplateError(f"a number of more than {INTEGER_BITS} bits")
                return result
            case (str(), str()) if operator == "+":
                return _join([left, right])
            case (list(), list()) if operator == "+":
                if len(left) + len(right) > LIST_LIMIT:
                    raise TemplateError(f"a list of more than {LIST_LIMIT} items")
                return left + right
        self._complain(left, right)
        kinds = f"{type(left).__name__} and {type(right).__name__}"
        raise TemplateError(f"the operator {operator} is not available for {kinds}")

    @staticmethod
    def _complain(*operands: object) -> None:
        """An undefined operand tells its own name better than we could."""
        for operand in operands:
            if isinstance(operand, Undefined):
                str(operand)

    def _budgeted(self, items: Iterable[object]) -> Iterator[object]:
        """The items, each of which costs one of the turns that all loops share."""
        for item in items:
            self._iterations -= 1
            if self._iterations < 0:
                raise TemplateError(f"more than {ITERATIONS} turns in loops")
            yield item


@dataclass(frozen=True, slots=True)
class Program:
    """A Jinja template that has passed the grammar, ready to run."""

    name: str
    target: Target
    code: CodeType
    names: frozenset[str]

    @classmethod
    def compile(cls, name: str, text: str, target: Target) -> "Program":
        """Parse, check and compile. Raises TemplateError, with file and line."""
        environment = _Environment(target)
        try:
            tree = environment.parse(text, name, name)
            grammar.check(name, tree)
            names = frozenset(meta.find_undeclared_variables(tree)) - grammar.FUNCTIONS
            code = environment.compile(grammar.instrument(tree), name, name)
        except TemplateSyntaxError as error:
            raise TemplateError(f"{name}:{error.lineno}: {error.message}") from None
        except (RecursionError, MemoryError, SyntaxError, ValueError, OverflowError):
            raise TemplateError(f"{name}: nested too deeply, or a number is too long") from None
        return cls(name, target, code, names)

    def run(self, values: Mapping[str, object]) -> str:
        """The result, of at most OUTPUT_LIMIT characters.

        Raises TemplateError, with file and line, for whatever goes wrong in the template.
        """
        environment = _Environment(self.target)
        template = Template.from_code(environment, self.code, environment.globals)
        parts: list[str] = []
        size = 0
        try:
            for part in template.generate(dict(values)):
                size += len(part)
                if size > OUTPUT_LIMIT:
                    raise TemplateError(f"the result is larger than {OUTPUT_LIMIT} characters")
                parts.append(part)
        except (JinjaError, AtomicSysError) as error:
            for missing in self.names - set(values):
                if str(error) == f"'{missing}' is undefined":
                    raise UnreplacedValue(self.name, missing) from None
            self._fail(error, str(error))
        except (ArithmeticError, LookupError, TypeError, ValueError, RecursionError) as error:
            self._fail(error, f"{type(error).__name__}: {error}")
        return "".join(parts)

    def _fail(self, error: Exception, message: str) -> NoReturn:
        line = _line_in(error.__traceback__, self.name)
        where = self.name if line is None else f"{self.name}:{line}"
        hint = error.hint if isinstance(error, AtomicSysError) else None
        raise TemplateError(f"{where}: {message}", hint=hint) from None


def _line_in(traceback: TracebackType | None, name: str) -> int | None:
    """The last line of the template that the error passed; Jinja has put it into the traceback."""
    line = None
    while traceback is not None:
        if traceback.tb_frame.f_code.co_filename == name:
            line = traceback.tb_lineno
        traceback = traceback.tb_next
    return line


def _escapes(target: Target) -> dict[str, Callable[[object], str]]:
    """The filters that write a value for the target; those of the other target are not there."""
    match target:
        case Target.JSON:
            return {"tojson": escape.to_json}
        case Target.UNIT:
            return {"unit": escape.unit, "word": escape.word}
        case _:
            assert_never(target)


def _finalize(target: Target, value: object) -> str:
    if isinstance(value, Undefined):
        str(value)  # raises, with the name
    return escape.escape(target, value)


def _range(*bounds: int) -> range:
    result = range(*bounds)
    if len(result) > LIST_LIMIT:
        raise TemplateError(f"a range of more than {LIST_LIMIT} items")
    return result


def _join(items: Iterable[object], separator: object = "") -> str:
    """The items, all of them scalars, one after the other with the separator in between."""
    between = _string(separator)
    parts: list[str] = []
    size = 0
    for item in items:
        parts.append(_string(item))
        size += len(parts[-1]) + len(between)
        if size > OUTPUT_LIMIT:
            raise TemplateError(f"a text of more than {OUTPUT_LIMIT} characters")
    return between.join(parts)


def _string(value: object) -> str:
    if isinstance(value, Undefined):
        str(value)  # raises, with the name
    if not isinstance(value, Scalar):
        raise TemplateError(f"a {type(value).__name__} is not text: use the filter tojson")
    return str(value)
