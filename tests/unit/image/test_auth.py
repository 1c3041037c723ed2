# SPDX-License-Identifier: LGPL-2.1-or-later
"""Challenges, and anonymous tokens."""

import pytest

from atomic_sys.image.auth import AnonymousTokens, parse_challenges
from atomic_sys.image.http import Http, Tls
from atomic_sys.image.http_response import NetworkError
from atomic_sys.model.strict_json import InvalidJson
from tests.support.fake_registry import FakeRegistry, Reply

SCOPE = "repository:a/b:pull"


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


def test_token(http: Http, registry: FakeRegistry) -> None:
    registry.replies["/token"] = Reply(body=b'{"token":"t1"}')
    tokens = AnonymousTokens(http, scope=SCOPE, tls=Tls.UNVERIFIED)
    header = f'Bearer realm="{registry.url}/token?x=1",service="the service"'
    first = tokens.renew("http://h", header, None)
    assert (first, tokens.token) == ("t1", "t1")
    registry.replies["/token"] = Reply(body=b'{"access_token":"t2"}')
    assert tokens.renew("http://h", header, None) == "t1", "another thread was quicker"
    assert tokens.renew("http://h", header, "t1") == "t2"
    query = "service=the+service&scope=repository%3Aa%2Fb%3Apull"
    assert registry.requests[0][0] == f"/token?x=1&{query}"


@pytest.mark.parametrize(
    ("header", "message"),
    [
        (None, "denies access"),
        ("Negotiate", "denies access"),
        ('Basic realm="x"', "user name and password"),
        ('Bearer realm="http://h/token"', "without https"),
        ('Bearer realm="file:///etc/passwd"', "without https"),
        ("Bearer", "without https"),
    ],
)
def test_refused_challenges(http: Http, header: str | None, message: str) -> None:
    tokens = AnonymousTokens(http, scope=SCOPE, tls=Tls.VERIFIED)
    with pytest.raises(NetworkError, match=message):
        tokens.renew("https://h", header, None)


@pytest.mark.parametrize(
    ("reply", "error", "message"),
    [
        (Reply(status=401), NetworkError, "not give .* to everybody"),
        (Reply(status=500), NetworkError, "status 500"),
        (Reply(body=b"{}"), NetworkError, "no usable token"),
        (Reply(body=b'{"token":5}'), NetworkError, "no usable token"),
        (Reply(body=b'{"token":"a\\r\\nX-Evil: b"}'), NetworkError, "no usable token"),
        (Reply(body=b"<html>"), InvalidJson, "invalid JSON"),
    ],
)
def test_bad_token_servers(
    http: Http, registry: FakeRegistry, reply: Reply, error: type[Exception], message: str
) -> None:
    registry.replies["/token"] = reply
    tokens = AnonymousTokens(http, scope=SCOPE, tls=Tls.UNVERIFIED)
    with pytest.raises(error, match=message):
        tokens.renew("http://h", f'Bearer realm="{registry.url}/token"', None)
