# SPDX-License-Identifier: LGPL-2.1-or-later
"""Each rule of the linter, with a policy that breaks it and one that does not."""

import json
from typing import Any

import pytest

from atomic_sys.trust.keys import KeyInfo
from atomic_sys.trust.lint import KeyState, Severity, docker_scope_problem, lint
from atomic_sys.trust.lookaside import LookasideConfig, Section
from atomic_sys.trust.policy import parse

ACCEPT = {"type": "insecureAcceptAnything"}
REJECT = {"type": "reject"}
SIGNED = {"type": "signedBy", "keyType": "GPGKeys", "keyPath": "/k"}
COSIGN = {"type": "sigstoreSigned", "keyPath": "/c"}
BASE_LAYER = {"type": "signedBaseLayer", "baseLayerIdentity": {"type": "matchExact"}}
SOMEWHERE = Section(source="s", lookaside="https://a", staging=None, use_sigstore_attachments=None)
GOOD = KeyInfo(fingerprint="AA", users=("A <a@b>",), expires=None, revoked=False)


def complaints(
    transports: dict[str, dict[str, list[Any]]],
    default: Any = REJECT,
    keys: tuple[KeyState, ...] = (),
    lookaside: LookasideConfig | None = None,
) -> list[tuple[str, str, str]]:
    policy = parse(json.dumps({"default": [default], "transports": transports}).encode(), "p")
    known = lookaside or LookasideConfig(default=SOMEWHERE, docker={})
    found = lint(policy, known, lambda one: keys if one.kind != "reject" else (), 1000)
    return [(one.severity.value, one.place, one.text) for one in found]


def docker(scope: str, *requirements: Any, **more: Any) -> list[tuple[str, str, str]]:
    return complaints({"docker": {scope: list(requirements)}}, **more)


def remapped(prefix: str) -> dict[str, Any]:
    identity = {"type": "remapIdentity", "prefix": prefix, "signedPrefix": "a.b/c"}
    return SIGNED | {"signedIdentity": identity}


def test_nothing_to_say() -> None:
    assert docker("a.example.com/b", SIGNED) == []
    assert docker("*.example.com", SIGNED) == []


@pytest.mark.parametrize(
    ("scope", "word"),
    [
        ("nginx", "docker.io/library/nginx"),
        ("library/nginx", "docker.io/library/nginx"),
        ("docker.io/nginx", "docker.io/library/nginx"),
        ("docker.io/nginx:1", "docker.io/library/nginx:1"),
        ("index.docker.io/nginx", "docker.io/library/nginx"),
        (f"example.com/a:1@sha256:{'0' * 64}", "a tag and a digest"),
        ("example.com/Upper", "lower case|invalid"),
        ("example.com/a/", "invalid"),
        ("*.example.com/a", "wildcard"),
        ("*.example.com:5000", "wildcard"),
        ("a.*.com", "wildcard"),
        ("*", "wildcard"),
    ],
)
def test_scopes_that_never_match(scope: str, word: str) -> None:
    problem = docker_scope_problem(scope)
    assert problem is not None
    assert any(part in problem for part in word.split("|"))
    assert ("error", f"docker: {scope}", problem) in docker(scope, SIGNED)


@pytest.mark.parametrize(
    "scope",
    ["a.com", "a.com:5000", "localhost", "localhost:5000/a", "a.com/b", "a.com/b:1", "docker.io",
     "docker.io/library", "docker.io/library/nginx", "*.com", "*.a.example.com"],
)  # fmt: skip
def test_scopes_that_can_match(scope: str) -> None:
    assert docker_scope_problem(scope) is None


@pytest.mark.parametrize(
    ("said", "word"),
    [
        (complaints({}, default=ACCEPT), "from anywhere"),
        (docker("", ACCEPT), "every registry"),
        (docker("a.com", ACCEPT, SIGNED), "does nothing"),
        (docker("a.com", REJECT, SIGNED), "useless"),
        (complaints({"sky": {"a": [ACCEPT]}}), "nobody knows this transport"),
        (docker("a.com", SIGNED | {"keyType": "X509Certificates"}), "always rejects"),
        (
            docker("a.com", BASE_LAYER),
            "implemented by nobody",
        ),
        (docker("a.com", COSIGN), "write matchRepository"),
        (docker("a.com", COSIGN | {"signedIdentity": {"type": "matchExact"}}), "can never match"),
        (docker("a.com/b", remapped("other.com")), "not of this scope"),
        (docker("a.com", REJECT), "the default says already"),
        (
            complaints({"docker": {"a.com": [SIGNED], "a.com/b/c": [SIGNED]}}),
            "what a.com says already",
        ),
        (
            complaints({"docker": {"*.com": [SIGNED], "a.com": [SIGNED]}}),
            "what *.com says already",
        ),
        (complaints({"dir": {"": [ACCEPT], "/a/b": [ACCEPT]}}), "the whole transport says"),
        (docker("a.com", SIGNED, lookaside=LookasideConfig(docker={})), "does not say where"),
    ],
)  # fmt: skip
def test_complaints(said: list[tuple[str, str, str]], word: str) -> None:
    assert any(word in text for _, _, text in said), said


def test_what_is_no_reason_to_complain() -> None:
    assert docker("a.com/b", remapped("a.com")) == []
    assert docker("a.com", COSIGN | {"signedIdentity": {"type": "matchRepository"}}) == []
    own = LookasideConfig(docker={"a.com": SOMEWHERE})
    assert docker("a.com/b", SIGNED, lookaside=own) == []
    assert complaints({"docker": {"a.com": [SIGNED], "a.com/b": [SIGNED, SIGNED]}}) == []


@pytest.mark.parametrize(
    ("state", "word"),
    [
        (KeyState(source="/k", problem="No such file"), "/k: No such file"),
        (KeyState(source="/k", keys=(KeyInfo(fingerprint="BB", users=(), expires=999,
                                             revoked=False),)), "expired: BB"),
        (KeyState(source="/k", keys=(GOOD, KeyInfo(fingerprint="CC", users=("C",), expires=None,
                                                   revoked=True))), "revoked: CC C"),
    ],
)  # fmt: skip
def test_keys(state: KeyState, word: str) -> None:
    said = docker("a.com", SIGNED, keys=(state,))
    assert [(severity, word in text) for severity, _, text in said] == [
        (Severity.ERROR.value, True)
    ]


def test_good_keys() -> None:
    later = KeyInfo(fingerprint="BB", users=(), expires=1001, revoked=False)
    state = KeyState(source="/k", keys=(GOOD, later))
    assert docker("a.com", SIGNED, keys=(state,)) == []
    assert state.words() == ("a@b", "BB")
    assert KeyState(source="/k").words() == ("/k",)
