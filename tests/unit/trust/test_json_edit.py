# SPDX-License-Identifier: LGPL-2.1-or-later
"""An edit of a JSON text changes one value and no other character."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atomic_sys.trust.json_edit import delete, set_value

TEXT = '{"a": {"x":1,\n  "y":2, "z": [ ]}, "b" : "}{" }\n\n'
KEYS = st.text(alphabet='ab"\\{},: \u00e9', max_size=3)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | KEYS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=4,
)
OBJECTS = st.dictionaries(KEYS, st.dictionaries(KEYS, VALUES, max_size=3) | VALUES, max_size=3)
INDENTS = st.sampled_from([None, 0, 1, 4, "\t"])


@pytest.mark.parametrize(
    ("path", "value", "text"),
    [
        (["b"], 7, '{"a": {"x":1,\n  "y":2, "z": [ ]}, "b" : 7 }\n\n'),
        (["a", "y"], "ü", '{"a": {"x":1,\n  "y":"ü", "z": [ ]}, "b" : "}{" }\n\n'),
        (["a", "n"], 1, '{"a": {"x":1,\n  "y":2, "z": [ ], "n": 1}, "b" : "}{" }\n\n'),
        (["n"], [], '{"a": {"x":1,\n  "y":2, "z": [ ]}, "b" : "}{", "n": [] }\n\n'),
    ],
)
def test_set(path: list[str], value: Any, text: str) -> None:
    assert set_value(TEXT, path, value) == text


def test_set_keeps_the_lines() -> None:
    text = '{\n  "a": {\n    "x": 1\n  }\n}\n'
    assert set_value(text, ["a", "y", "z"], [2]) == (
        '{\n  "a": {\n    "x": 1,\n    "y": {\n      "z": [\n        2\n      ]\n    }\n  }\n}\n'
    )
    assert set_value("{}", ["a"], 1) == '{\n    "a": 1\n}'


@pytest.mark.parametrize(
    ("path", "text"),
    [
        (["a"], '{"b" : "}{" }\n\n'),
        (["b"], '{"a": {"x":1,\n  "y":2, "z": [ ]} }\n\n'),
        (["a", "x"], '{"a": {"y":2, "z": [ ]}, "b" : "}{" }\n\n'),
        (["a", "y"], '{"a": {"x":1,\n  "z": [ ]}, "b" : "}{" }\n\n'),
        (["a", "z"], '{"a": {"x":1,\n  "y":2}, "b" : "}{" }\n\n'),
    ],
)
def test_delete(path: list[str], text: str) -> None:
    assert delete(TEXT, path) == text


def test_refused() -> None:
    with pytest.raises(KeyError):
        delete(TEXT, ["c"])
    with pytest.raises(KeyError):
        delete(TEXT, ["c", "d"])
    with pytest.raises(ValueError, match="not an object"):
        set_value(TEXT, ["b", "c"], 1)


@given(OBJECTS, KEYS, KEYS, VALUES, INDENTS)
def test_only_the_value_changes(
    document: dict[str, Any], outer: str, inner: str, value: Any, indent: int | str | None
) -> None:
    text = json.dumps(document, indent=indent)
    expected = json.loads(text)
    if not isinstance(expected.setdefault(outer, {}), dict):
        return
    expected[outer][inner] = value
    changed = set_value(text, [outer, inner], value)
    assert json.loads(changed) == expected
    del expected[outer][inner]
    assert json.loads(delete(changed, [outer, inner])) == expected
