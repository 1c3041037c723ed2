# SPDX-License-Identifier: LGPL-2.1-or-later
"""Policies changed in one place, in every layout, and every other byte of them kept."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atomic_sys.errors import AtomicSysError
from atomic_sys.trust import json_edit
from atomic_sys.trust.policy import InvalidPolicy, parse
from atomic_sys.trust.policy_edit import STARTING_POLICY, delete_scope, set_default, set_scope

OPEN: list[dict[str, Any]] = [{"type": "insecureAcceptAnything"}]
SHIPPED = Path(__file__).parents[3] / "policy/policy.json"
INLINE = '{"default":[{"type":"reject"}],"transports":{"docker":{"a.example":[{"type":"reject"}]}}}'


def add(before: str, scope: str = "b.example", transport: str = "docker") -> str:
    return set_scope(before.encode(), "p", (transport, scope), OPEN).decode()


def delete(before: str, scope: str = "b.example", transport: str = "docker") -> str:
    return delete_scope(before.encode(), "p", (transport, scope)).decode()


def test_a_new_policy_is_the_shipped_one() -> None:
    assert SHIPPED.read_bytes() == STARTING_POLICY


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (
            INLINE,
            INLINE[:-3] + ', "b.example": [{"type": "insecureAcceptAnything"}]}}}',
        ),
        (
            '{"default":[{"type":"reject"}]}\n',
            (
                '{"default":[{"type":"reject"}], "transports": {"docker": {"b.example": '
                '[{"type": "insecureAcceptAnything"}]}}}\n'
            ),
        ),
        (
            '{\n\t"default": [{"type": "reject"}],\n\t"transports": {"docker": {}}\n}',
            (
                '{\n\t"default": [{"type": "reject"}],\n\t"transports": {"docker": {\n'
                '\t\t"b.example": [\n\t\t\t{\n\t\t\t\t"type": "insecureAcceptAnything"\n\t\t\t}\n'
                "\t\t]\n\t}}\n}"
            ),
        ),
        (
            (
                '{\r\n  "transports": {\r\n    "docker": {\r\n\r\n      "a": [{"type":"reject"}]'
                "\r\n"
                '    }\r\n  },\r\n  "default": [{"type": "reject"}]\r\n}\r\n'
            ),
            (
                '{\r\n  "transports": {\r\n    "docker": {\r\n\r\n      "a": [{"type":"reject"}],'
                "\r\n"
                '      "b.example": [\r\n        {\r\n'
                '          "type": "insecureAcceptAnything"\r\n        }\r\n      ]\r\n'
                '    }\r\n  },\r\n  "default": [{"type": "reject"}]\r\n}\r\n'
            ),
        ),
    ],
    ids=["one line", "no transports", "tabs", "CRLF"],
)
def test_add_keeps_the_layout(before: str, after: str) -> None:
    assert add(before) == after
    assert parse(delete(after).encode(), "p").default == parse(before.encode(), "p").default


def test_overwriting_changes_the_value_only() -> None:
    before = INLINE.replace(":{", ": {")
    assert add(before, "a.example") == before.replace(
        '"a.example":[{"type":"reject"}]', '"a.example":[{"type": "insecureAcceptAnything"}]'
    )


def test_an_escaped_key_is_the_same_key() -> None:
    before = INLINE.replace("a.example", "\\u0061.example")
    assert delete(before, "a.example") == before.replace(
        '"\\u0061.example":[{"type":"reject"}]', ""
    )


@pytest.mark.parametrize("scope", ["a", "b", "c"])
def test_delete_undoes_what_stands_between_others(scope: str) -> None:
    entries = {name: f'"{name}": [{{"type": "reject"}}]' for name in "abc"}
    whole = '{"default": [{"type": "reject"}], "transports": {"docker": {%s}}}'
    others = ", ".join(entry for name, entry in entries.items() if name != scope)
    assert delete(whole % ", ".join(entries.values()), scope) == whole % others


def test_a_path_leads_somewhere() -> None:
    with pytest.raises(ValueError, match="an empty path"):
        json_edit.put("{}", (), None)
    with pytest.raises(KeyError, match="a"):
        json_edit.drop('{"b": 1}', ("a", "b"))


def test_default_is_replaced_whole() -> None:
    before = '{"default": [{"type": "signedBy", "keyType": "GPGKeys", "keyPath": "/k"}]}'
    after = set_default(before.encode(), "p", [{"type": "reject"}])
    assert after == b'{"default": [{"type": "reject"}]}'


@pytest.mark.parametrize(
    "document", [b"", b"{}", b"\xef\xbb\xbf{}", b'{"default": [], "default": []}', b'{"default": 1']
)
def test_an_invalid_policy_is_refused(document: bytes) -> None:
    with pytest.raises(InvalidPolicy):
        set_scope(document, "p", ("docker", "a"), OPEN)
    with pytest.raises(InvalidPolicy):
        delete_scope(document, "p", ("docker", "a"))
    with pytest.raises(InvalidPolicy):
        set_default(document, "p", OPEN)


@pytest.mark.parametrize(
    ("place", "requirements"),
    [
        (("docker", "a"), []),
        (("docker", "a"), [{"type": "signedBy"}]),
        (("dir", "relative"), OPEN),
    ],
    ids=["none", "half", "scope"],
)
def test_bad_requirements_are_refused(
    place: tuple[str, str], requirements: list[dict[str, Any]]
) -> None:
    with pytest.raises(InvalidPolicy, match="the new requirements"):
        set_scope(STARTING_POLICY, "p", place, requirements)


@pytest.mark.parametrize("place", [("docker", "a"), ("atomic", "a"), ("oci", "/a")])
def test_what_is_not_there_cannot_be_deleted(place: tuple[str, str]) -> None:
    with pytest.raises(AtomicSysError, match=f"defined for {place[0]} transport {place[1]}"):
        delete_scope(STARTING_POLICY, "p", place)


def test_an_edit_that_lost_something_is_not_given_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_edit, "put", lambda *_: '{"default": [{"type": "reject"}]}')
    with pytest.raises(AtomicSysError, match="without a loss"):
        set_scope(STARTING_POLICY, "p", ("docker", "a"), OPEN)
    monkeypatch.setattr(json_edit, "put", lambda *_: "{")
    with pytest.raises(AtomicSysError, match="would make p invalid"):
        set_scope(STARTING_POLICY, "p", ("docker", "a"), OPEN)


REQUIREMENTS = st.lists(
    st.sampled_from([
        {"type": "reject"},
        {"type": "insecureAcceptAnything"},
        {"type": "signedBy", "keyType": "GPGKeys", "keyPath": "/ä\n"},
    ]),
    min_size=1,
    max_size=2,
)
NAMES = st.text(st.characters(codec="utf-8"), max_size=8)
POLICIES = st.fixed_dictionaries(
    {"default": REQUIREMENTS},
    optional={
        "transports": st.dictionaries(
            st.sampled_from(["docker", "future", "\x7f"]),
            st.dictionaries(NAMES, REQUIREMENTS, max_size=3),
            max_size=3,
        )
    },
)


@settings(deadline=None)  # this machine may be busy
@given(
    body=POLICIES,
    style=st.fixed_dictionaries({
        "indent": st.sampled_from([None, 0, 1, 4, "\t"]),
        "ensure_ascii": st.booleans(),
    }),
    place=st.tuples(st.sampled_from(["docker", "future"]), NAMES),
    requirements=REQUIREMENTS,
)
def test_any_policy_has_the_new_scope_and_all_the_others(
    body: dict[str, Any],
    style: dict[str, Any],
    place: tuple[str, str],
    requirements: list[dict[str, Any]],
) -> None:
    before = json.dumps(body, **style).encode()
    added = set_scope(before, "p", place, requirements)
    assert set_scope(added, "p", place, requirements) == added
    old, new = parse(before, "p"), parse(added, "p")
    transport, scope = place
    rest = {key: value for key, value in old.transports.get(transport, {}).items() if key != scope}
    found = dict(new.transports[transport])
    assert len(found.pop(scope)) == len(requirements)
    assert found == rest
    assert replace(new, transports={}) == replace(old, transports={})
    gone = parse(delete_scope(added, "p", place), "p")
    assert gone.transports[transport] == rest
    assert {**gone.transports, transport: {}} == {**old.transports, transport: {}}
