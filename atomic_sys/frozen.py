# SPDX-License-Identifier: LGPL-2.1-or-later
"""Frozen, slotted, keyword-only dataclasses, made ten times as fast as dataclasses makes them.

`@frozen` is `@dataclass(frozen=True, slots=True, kw_only=True)`, and fields(), replace() and
asdict() work as ever. But dataclasses compiles six functions for each class, which takes half a
millisecond, and a pull loads more than a hundred classes; these here share what is compiled once.
An instance takes twice as long: what is made for each file of an image is a class of another kind.
"""

from collections.abc import Callable
from dataclasses import MISSING, Field, FrozenInstanceError, dataclass, field, fields
from typing import Any, NoReturn, TypeVar, dataclass_transform

_Class = TypeVar("_Class", bound=type[Any])


@dataclass_transform(kw_only_default=True, frozen_default=True, field_specifiers=(field,))
def frozen(cls: _Class) -> _Class:
    """Make the class a dataclass; methods that it has itself stay. Raises what dataclass() does."""
    cls.__doc__ = cls.__doc__ or cls.__name__  # or dataclass() would make one, for some time
    made: Any = dataclass(init=False, repr=False, eq=False, slots=True, kw_only=True)(cls)
    of = fields(made)
    for method in (_initializer(of), *_views(of), *_CONSTANT):
        if method.__name__ not in cls.__dict__:
            setattr(made, method.__name__, method)
    result: _Class = made
    return result


def _initializer(of: tuple[Field[Any], ...]) -> Callable[..., None]:
    def __init__(self: Any, /, **given: Any) -> None:
        for one in of:
            if one.name in given:
                value = given.pop(one.name)
            elif one.default is not MISSING:
                value = one.default
            elif one.default_factory is not MISSING:
                value = one.default_factory()
            else:
                raise TypeError(f"{type(self).__name__}() needs {one.name!r}")
            object.__setattr__(self, one.name, value)
        if given:
            raise TypeError(f"{type(self).__name__}() does not know {', '.join(map(repr, given))}")

    return __init__


def _views(of: tuple[Field[Any], ...]) -> tuple[Callable[..., Any], ...]:
    compared = tuple(one.name for one in of if one.compare)
    hashed = tuple(one.name for one in of if (one.compare if one.hash is None else one.hash))

    def __eq__(self: Any, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return all(getattr(self, name) == getattr(other, name) for name in compared)

    def __hash__(self: Any) -> int:
        return hash(tuple(getattr(self, name) for name in hashed))

    def __repr__(self: Any) -> str:
        shown = (f"{one.name}={getattr(self, one.name)!r}" for one in of if one.repr)
        return f"{type(self).__qualname__}({', '.join(shown)})"

    return __eq__, __hash__, __repr__


def __setattr__(self: Any, name: str, _: object) -> NoReturn:
    raise FrozenInstanceError(f"cannot assign to field {name!r} of {type(self).__name__}")


def __delattr__(self: Any, name: str) -> NoReturn:
    raise FrozenInstanceError(f"cannot delete field {name!r} of {type(self).__name__}")


def __getstate__(self: Any) -> list[Any]:
    return [getattr(self, one.name) for one in fields(self)]


def __setstate__(self: Any, state: list[Any]) -> None:
    for one, value in zip(fields(self), state, strict=True):
        object.__setattr__(self, one.name, value)


_CONSTANT = (__setattr__, __delattr__, __getstate__, __setstate__)
