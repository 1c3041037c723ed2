# SPDX-License-Identifier: LGPL-2.1-or-later
"""Challenges, and the scopes that they miss."""

import pytest

from atomic_sys.image.challenge import missing_scope, parse_challenges


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("", []),
        ("Basic", [("basic", {})]),
        ('Basic realm="a b"', [("basic", {"realm": "a b"})]),
        (
            'Bearer realm="https://h/t",service="s"',
            [("bearer", {"realm": "https://h/t", "service": "s"})],
        ),
        ('BEARER Realm = "x" , service=y', [("bearer", {"realm": "x", "service": "y"})]),
        ('Bearer realm="a\\"b"', [("bearer", {"realm": 'a"b'})]),
        ('Bearer realm="1",realm="2"', [("bearer", {"realm": "1"})]),
        (
            'Bearer realm="r", Basic realm="q"',
            [("bearer", {"realm": "r"}), ("basic", {"realm": "q"})],
        ),
        ("Negotiate, Basic realm=q", [("negotiate", {}), ("basic", {"realm": "q"})]),
        ('Bearer realm="open', [("bearer", {})]),
        ("=,=", []),
    ],
)
def test_challenges(header: str, expected: list[tuple[str, dict[str, str]]]) -> None:
    found = [
        (challenge.scheme, dict(challenge.parameters)) for challenge in parse_challenges(header)
    ]
    assert found[: len(expected)] == expected


def test_challenges_do_not_take_for_ever() -> None:
    for header in ("a=" * 100_000, 'Bearer x="' + "\\a" * 100_000, " ," * 100_000, "a " * 100_000):
        parse_challenges(header)


GOOD = 'Bearer realm="r",error="insufficient_scope",scope="repository:a/b:pull,push"'


@pytest.mark.parametrize(
    ("header", "scope"),
    [
        (GOOD, "repository:a/b:pull,push"),
        (f"Basic realm=x, {GOOD}", "repository:a/b:pull,push"),
        ("", None),
        (GOOD.replace("Bearer", "Basic"), None),
        (GOOD.replace("insufficient_scope", "invalid_token"), None),
        (GOOD.replace(',error="insufficient_scope"', ""), None),
        (GOOD.replace(":pull,push", ""), None),
        (GOOD.replace("a/b", ""), None),
        (GOOD.replace("a/b", "a b"), None),
        (GOOD.replace("pull,push", ""), None),
    ],
)
def test_missing_scope(header: str, scope: str | None) -> None:
    assert missing_scope(parse_challenges(header)) == scope
