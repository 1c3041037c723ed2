# SPDX-License-Identifier: LGPL-2.1-or-later
"""YAML that is refused; registries.d has the rest of the table."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atomic_sys.model.strict_yaml import DOCUMENT_LIMIT, InvalidYaml, as_mapping, loads

BROKEN: dict[str, tuple[bytes, str]] = {
    "not UTF-8": (b"\xff", "invalid YAML"),
    "syntax": (b"a: [", "invalid YAML: .* line 1"),
    "two documents": (b"a: 1\n---\nb: 1\n", "invalid YAML"),
    "large": (b"#" * (DOCUMENT_LIMIT + 1), "limit"),
    "deep": (b"[" * 20000, "deeply"),
    "alias": (b"a: &x {}\nb: *x", "anchors"),
    "tag": (b"!!python/object:os.system x", "tags"),
    "duplicate": (b"a: 1\na: 2", "duplicate key 'a'"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_broken(case: str) -> None:
    document, message = BROKEN[case]
    with pytest.raises(InvalidYaml, match=rf"^f.*{message}") as caught:
        loads(document, "f")
    assert "\n" not in str(caught.value)


def test_plain_values() -> None:
    assert loads(b"a: [1, x, true]\nb: {c: null}", "f") == {"a": [1, "x", True], "b": {"c": None}}
    assert as_mapping(loads(b"", "f"), "f") == {}


@given(st.text(alphabet="a1:-[]{}?'\"!&*|>% \n=<.", max_size=30))
def test_never_crashes(document: str) -> None:
    with contextlib.suppress(InvalidYaml):
        loads(document.encode(), "f")
