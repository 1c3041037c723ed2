# SPDX-License-Identifier: LGPL-2.1-or-later
"""Changes of a policy's text and of our files in registries.d: valid before, valid after."""

import json
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from atomic_sys.errors import NotFound
from atomic_sys.model.strict_json import Json
from atomic_sys.trust.edit import EMPTY_POLICY, parsed, put_scope, remove_scope, set_default
from atomic_sys.trust.policy import InvalidPolicy
from atomic_sys.trust.registries_d import OWN_MARK, own_file, own_file_name
from atomic_sys.trust.requirements import InsecureAcceptAnything, Reject

REJECT: Json = {"type": "reject"}
ACCEPT: Json = {"type": "insecureAcceptAnything"}
SCOPES = st.sampled_from(["", "a.example.com", "a.example.com/b", "a.example.com/b:1", "*.org"])
POLICIES = st.dictionaries(SCOPES, st.sampled_from([[REJECT], [ACCEPT], [ACCEPT, REJECT]]))


def test_scopes_come_and_go() -> None:
    text = put_scope(EMPTY_POLICY, "docker", "a.example.com", [REJECT], "p")
    assert parsed(text, "p").transports == {"docker": {"a.example.com": (Reject(),)}}
    assert parsed(remove_scope(text, "docker", "a.example.com", "p"), "p").transports == {
        "docker": {}
    }
    changed = set_default(text, [ACCEPT], "p")
    assert parsed(changed, "p").default == (InsecureAcceptAnything(),)


@pytest.mark.parametrize(
    "change",
    [
        lambda text: put_scope(text, "docker", "a", [REJECT], "p"),
        lambda text: remove_scope(text, "docker", "a", "p"),
        lambda text: set_default(text, [REJECT], "p"),
    ],
)
@pytest.mark.parametrize("text", ["", "{}", '{"default": []}', EMPTY_POLICY.replace("r", "x")])
def test_what_is_no_policy_is_not_changed(change: Any, text: str) -> None:
    with pytest.raises(InvalidPolicy):
        change(text)


def test_what_would_be_no_policy_is_not_made() -> None:
    with pytest.raises(InvalidPolicy):
        put_scope(EMPTY_POLICY, "dir", "relative", [REJECT], "p")
    with pytest.raises(InvalidPolicy):
        put_scope(EMPTY_POLICY, "docker", "a", [{"type": "nothing"}], "p")
    with pytest.raises(NotFound, match="docker a transport"):
        remove_scope(EMPTY_POLICY, "docker", "a", "p")


@given(POLICIES, SCOPES, st.sampled_from([None, 1, "\t"]))
def test_all_other_scopes_stay(
    scopes: dict[str, Any], scope: str, indent: int | str | None
) -> None:
    text = json.dumps({"default": [REJECT], "transports": {"docker": scopes}}, indent=indent)
    before = dict(parsed(text, "p").transports["docker"])
    after = parsed(put_scope(text, "docker", scope, [ACCEPT], "p"), "p")
    assert after.transports["docker"] == before | {scope: (InsecureAcceptAnything(),)}


def test_our_files_of_registries_d() -> None:
    assert own_file_name("b.example.com:5000/q") == "b.example.com-5000-q.yaml"
    first = own_file(OWN_MARK, "a.org", "https://s")
    assert first is not None
    assert first.startswith(OWN_MARK)
    second = own_file(first, "a.org/b", "file:///srv")
    assert second is not None
    assert yaml.safe_load(second) == {
        "docker": {
            "a.org": {"lookaside": "https://s"},
            "a.org/b": {"lookaside": "file:///srv", "lookaside-staging": "file:///srv"},
        }
    }
    assert own_file(second, "a.org/b", None) == first
    assert own_file(first, "a.org", None) is None
