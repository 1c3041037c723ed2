# SPDX-License-Identifier: LGPL-2.1-or-later
"""JSON that every reader reads the same way, or that nobody reads."""

import json
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atomic_sys.model.strict_json import (
    InvalidJson,
    Json,
    as_array,
    as_integer,
    as_object,
    as_string,
    as_string_map,
    as_strings,
    loads,
)


@pytest.mark.parametrize(
    ("document", "message"),
    [
        (b"", "invalid JSON"),
        (b"{", "invalid JSON"),
        (b'{"a": 1} x', "invalid JSON"),
        (b'{"a": 1}{"a": 1}', "invalid JSON"),
        (b'{"a": 1, "a": 1}', "duplicate key 'a' at line 1 column 10$"),
        (b'{"a": 1, "\\u0061": 1}', "duplicate key 'a' at line 1 column 10$"),
        (b'[{"x": {"a": 1,\n "a": 2}}]', "duplicate key 'a' at line 2 column 2$"),
        (b'[{"{": "}", "a": {"a" : 1}}, {"a": [{}],\n\t"a":2}', "key 'a' at line 2 column 2$"),
        (b'{"a": 1, "a": 2} "\\"\\', "key 'a' at line 1 column 10$"),
        (b"NaN", "NaN is not JSON at line 1 column 1$"),
        (b'{"NaN": "NaN",\n"a": -Infinity}', "-Infinity is not JSON at line 2 column 6$"),
        (b"\xef\xbb\xbf{}", "invalid JSON"),
        (b'"\xff"', "not UTF-8 at byte 1"),
        ("{}".encode("utf-16"), "not UTF-8"),
        (b"[" * 200_000, "nested too deeply at line 1 column 200000$"),
        (b'{"a": [\n' * 5_000 + b'"[' + b'\\"' * 9_000_000, "nested too deeply at line 5000"),
        (b"1" * 10_000, "number is too long"),
        (b"{'a': 1}", "line 1 column 2"),
        (b"[1,]", "invalid JSON"),
        (b'"\n"', "invalid JSON"),
    ],
)
def test_refused(document: bytes, message: str) -> None:
    with pytest.raises(InvalidJson, match=f"^the thing: .*{message}"):
        loads(document, "the thing")


_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(_VALUES)
def test_the_same_value_comes_back(value: Json) -> None:
    assert loads(json.dumps(value).encode(), "it") == value


@pytest.mark.parametrize(
    ("check", "good", "bad"),
    [
        (as_object, [{}, {"a": 1}], [None, [], "", 0, False]),
        (as_array, [[], [1]], [None, {}, "", 0]),
        (as_string, ["", "a"], [None, [], 5, {}]),
        (as_integer, [0, -5], [True, False, 1.0, "1", None]),
    ],
)
def test_shapes(check: Callable[[Json, str], object], good: list[Json], bad: list[Json]) -> None:
    for value in good:
        assert check(value, "it") is value
    for value in bad:
        with pytest.raises(InvalidJson, match=r"^it is not an? "):
            check(value, "it")


def test_lists_and_maps_of_strings() -> None:
    assert as_strings(None, "it") == ()
    assert as_strings(["a", ""], "it") == ("a", "")
    assert as_string_map(None, "it") == {}
    assert as_string_map({"a": "b"}, "it") == {"a": "b"}
    lists: tuple[Json, ...] = ("a", {}, [1], [None], False)
    for value in lists:
        with pytest.raises(InvalidJson):
            as_strings(value, "it")
    maps: tuple[Json, ...] = ("a", [], {"a": 1}, {"a": None}, 0)
    for value in maps:
        with pytest.raises(InvalidJson):
            as_string_map(value, "it")
