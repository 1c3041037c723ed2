# SPDX-License-Identifier: LGPL-2.1-or-later
"""Files of registries.d changed for one namespace, with all their comments."""

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from atomic_sys.errors import AtomicSysError
from atomic_sys.trust.lookaside import InvalidLookaside, parse
from atomic_sys.trust.lookaside_edit import Change, new_file, remove_section, set_section

URL = Change(lookaside="https://s.example/x")
USE = Change(use_sigstore_attachments=True)
BLOCK = """\
# ours
docker:
  a.example: # first
    # where
    sigstore: "file:///a" # former name
    unknown: [1, 2]

  # between
  b.example:
    lookaside-staging: file:///b
# after b
default-docker:
  lookaside: file:///d
"""


@pytest.mark.parametrize(
    ("before", "scope", "change", "after"),
    [
        (BLOCK, "a.example", URL, BLOCK.replace('"file:///a"', "https://s.example/x")),
        (
            BLOCK,
            "b.example",
            URL,
            BLOCK.replace("    lookaside-s", "    lookaside: https://s.example/x\n    lookaside-s"),
        ),
        (
            BLOCK,
            "b.example",
            USE,
            BLOCK.replace("    lookaside-s", "    use-sigstore-attachments: true\n    lookaside-s"),
        ),
        (
            "docker:\r\n    a:\r\n        x: 1\r\n",
            "a",
            USE,
            "docker:\r\n    a:\r\n        use-sigstore-attachments: true\r\n        x: 1\r\n",
        ),
        (
            "docker: {a: {sigstore: x, lookaside: y}, b: {}}",
            "a",
            URL,
            "docker: {a: {sigstore: x, lookaside: https://s.example/x}, b: {}}",
        ),
        (
            "docker: {a: {sigstore-staging: x}, b: {}}",
            "a",
            URL,
            "docker: {a: {lookaside: https://s.example/x, sigstore-staging: x}, b: {}}",
        ),
        ("docker: {b: {}}", "b", URL, "docker: {b: {lookaside: https://s.example/x}}"),
        ("docker:\n b:\n c:\n", "b", URL, "docker:\n b: {lookaside: https://s.example/x}\n c:\n"),
        ("docker:\n b: ~ # no\n", "b", USE, "docker:\n b: {use-sigstore-attachments: true} # no\n"),
        ("docker:\n b:\n  lookaside:\n", "b", URL, "docker:\n b:\n  lookaside: https://s.example/x\n"),
    ],
    ids=[
        "former name", "block", "other key", "CRLF", "newer name", "flow", "empty flow", "nothing",
        "null", "null value",
    ],
)  # fmt: skip
def test_set(before: str, scope: str, change: Change, after: str) -> None:
    assert set_section(before.encode(), "f", scope, change).decode() == after


def test_both_at_once() -> None:
    change = Change(lookaside="file:///x", use_sigstore_attachments=False)
    section = parse([("f", set_section(BLOCK.encode(), "f", "a.example", change))]).docker
    assert section["a.example"].lookaside == "file:///x"
    assert section["a.example"].use_sigstore_attachments is False
    assert section["b.example"] == parse([("f", BLOCK.encode())]).docker["b.example"]


@pytest.mark.parametrize(
    ("before", "scope", "after"),
    [
        (
            BLOCK,
            "a.example",
            BLOCK.partition("  a.")[0] + BLOCK[BLOCK.index("\n  # between") :],
        ),
        (BLOCK, "b.example", BLOCK.partition("  b.")[0] + BLOCK[BLOCK.index("# after b") :]),
        (
            "# mine\ndocker:\n  a: {sigstore: x}\nother: 1\n",
            "a",
            "# mine\nother: 1\n",
        ),
        ("docker:\n  a: {sigstore: x}\nother: 1", "a", "other: 1"),
        ("# mine\ndocker:\n  a:\n    lookaside: file:///x", "a", "# mine\n"),
        ("docker:\n  a:\n    lookaside: file:///x\n", "a", None),
        ("docker: {a: {sigstore: x}}", "a", None),
    ],
    ids=["first", "last", "only", "no end of line", "comment", "nothing left", "flow"],
)
def test_remove(before: str, scope: str, after: str | None) -> None:
    found = remove_section(before.encode(), "f", scope)
    assert (None if found is None else found.decode()) == after


@pytest.mark.parametrize("before", ["docker: {a: {}, b: {}}", "docker: {b: {},\n a: {}}"])
def test_what_cannot_be_removed_in_place_is_left(before: str) -> None:
    with pytest.raises(AtomicSysError, match="f cannot be changed without a loss"):
        remove_section(before.encode(), "f", "a")


@pytest.mark.parametrize("before", ["docker: [", "docker: &a {}", "- a", "docker: {a: 1}"])
def test_an_invalid_file_is_refused(before: str) -> None:
    with pytest.raises(InvalidLookaside):
        set_section(before.encode(), "f", "a", URL)
    with pytest.raises(InvalidLookaside):
        remove_section(before.encode(), "f", "a")


@settings(deadline=None)  # this machine may be busy
@given(
    scope=st.text(st.characters(codec="ascii", categories=["L", "N", "P", "S"]), min_size=1),
    address=st.text(st.characters(codec="utf-8"), min_size=1),
)
def test_a_new_file_says_just_that(scope: str, address: str) -> None:
    made = new_file(scope, Change(lookaside=address, use_sigstore_attachments=True))
    assert yaml.safe_load(made) == {
        "docker": {scope: {"lookaside": address, "use-sigstore-attachments": True}}
    }
    section = parse([("f", made)]).docker[scope]
    assert (section.lookaside, section.use_sigstore_attachments) == (address, True)
    assert remove_section(made, "f", scope) is None
