# SPDX-License-Identifier: LGPL-2.1-or-later
"""`@frozen` against the dataclass that it stands for: each class is made by both."""

import copy
import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol

import pytest

from atomic_sys.frozen import frozen


class _Body:
    kind: ClassVar[str] = "of the class"
    name: str
    size: int = 7
    more: Mapping[str, str] = field(default_factory=dict, hash=False)
    hidden: str = field(default="", repr=False)
    aside: int = field(default=0, compare=False, repr=False)

    def twice(self) -> int:
        """Uses a field."""
        return 2 * self.size


def _class() -> type[Any]:
    return type("Noun", (), dict(vars(_Body), __module__=__name__, __qualname__="Noun"))


class Make(Protocol):
    """A decorator."""

    def __call__(self, cls: type[Any], /) -> type[Any]:
        """The dataclass."""
        ...


MAKERS: list[Make] = [frozen, dataclass(frozen=True, slots=True, kw_only=True)]


@pytest.fixture(params=MAKERS, ids=["frozen", "dataclass"])
def noun(request: pytest.FixtureRequest) -> type[Any]:
    """The class, as each of them makes it."""
    make: Make = request.param
    return make(_class())


@frozen
class Inner:
    """One that is held."""

    value: int


@frozen
class Outer:
    """One that holds another."""

    inner: Inner
    names: tuple[str, ...] = ()


def test_fields_have_their_defaults(noun: type[Any]) -> None:
    one = noun(name="a")
    assert (one.name, one.size, one.more, one.hidden, one.twice()) == ("a", 7, {}, "", 14)
    assert noun(name="a").more is not one.more
    assert noun.kind == "of the class"


@pytest.mark.parametrize(
    "wrong", [{}, {"size": 1}, {"name": "a", "kind": "b"}, {"name": 1, "x": 2}]
)
def test_lacking_and_unknown_arguments(noun: type[Any], wrong: dict[str, Any]) -> None:
    with pytest.raises(TypeError):
        noun(**wrong)


def test_keywords_only(noun: type[Any]) -> None:
    with pytest.raises(TypeError):
        noun("a")


def test_equal_are_those_of_equal_fields(noun: type[Any]) -> None:
    assert noun(name="a", hidden="x") == noun(name="a", hidden="x")
    assert noun(name="a", hidden="x") != noun(name="a", hidden="y")
    assert noun(name="a") != ("a", 7, {}, "")
    assert noun(name="a", aside=1) == noun(name="a", aside=2)


def test_hashed_are_the_fields_that_say_so(noun: type[Any]) -> None:
    assert hash(noun(name="a", more={"x": "y"}, aside=1)) == hash(noun(name="a"))
    assert hash(noun(name="a")) != hash(noun(name="b"))


def test_equal_are_equal_as_keys() -> None:
    first, second = (Outer(inner=Inner(value=1), names=("x",)) for _ in range(2))
    assert {first: 1}[second] == 1
    assert hash(first) != hash(Outer(inner=Inner(value=2), names=("x",)))
    other: object = Outer(inner=Inner(value=1))
    assert Inner(value=1) != other


def test_shown_without_what_is_hidden(noun: type[Any]) -> None:
    assert repr(noun(name="a", hidden="x")) == "Noun(name='a', size=7, more={})"


def test_nothing_can_be_changed(noun: type[Any]) -> None:
    one = noun(name="a")
    with pytest.raises(dataclasses.FrozenInstanceError):
        one.name = "b"
    with pytest.raises(dataclasses.FrozenInstanceError):
        del one.name
    with pytest.raises((dataclasses.FrozenInstanceError, TypeError)):
        one.other = 1
    assert not hasattr(one, "__dict__")


def test_what_dataclasses_offers(noun: type[Any]) -> None:
    one = noun(name="a")
    assert dataclasses.replace(one, size=9) == noun(name="a", size=9)
    assert [each.name for each in dataclasses.fields(one)] == [
        "name",
        "size",
        "more",
        "hidden",
        "aside",
    ]
    assert dataclasses.asdict(one) == {"name": "a", "size": 7, "more": {}, "hidden": "", "aside": 0}


def test_copies() -> None:
    one = Outer(inner=Inner(value=1), names=("x",))
    assert copy.copy(one) == one
    assert copy.deepcopy(one) == one


def test_own_methods_stay() -> None:
    @frozen
    class Own:
        """One that says itself how it is shown."""

        value: int

        def __repr__(self) -> str:
            return "mine"

    assert repr(Own(value=1)) == "mine"
