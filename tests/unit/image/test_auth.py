# SPDX-License-Identifier: LGPL-2.1-or-later
"""Passwords and tokens, in answer to what the registry asks for."""

from urllib.parse import parse_qs, urlsplit

import pytest

from atomic_sys.image.auth import Access, AccessDenied, Server
from atomic_sys.image.auth_file import Credentials, IdentityToken, encoded, parse_option
from atomic_sys.image.http import Http
from atomic_sys.image.http_response import NetworkError
from atomic_sys.image.tls import Tls
from atomic_sys.model.strict_json import InvalidJson
from tests.support.fake_registry import FakeRegistry, Reply

SCOPE = "repository:a/b:pull"
PLAIN = Server(url="http://h", tls=Tls.UNVERIFIED)
US = parse_option("me:pä:ss")
BASIC = f"Basic {encoded(US)}"


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def access(http: Http, credentials: Credentials | None = None) -> Access:
    return Access(http, lambda: credentials, scope=SCOPE, clock=Clock())


def bearer(registry: FakeRegistry, more: str = "") -> str:
    return f'Bearer realm="{registry.url}/token?x=1",service="the service"{more}'


def token(value: str, **more: object) -> Reply:
    fields = "".join(f',"{key}":{value}' for key, value in more.items())
    return Reply(body=f'{{"token":"{value}"{fields}}}'.encode())


def test_anonymous_token(http: Http, registry: FakeRegistry) -> None:
    registry.replies["/token"] = token("t1")
    way = access(http)
    assert way.authorization(PLAIN) is None
    way.renew(PLAIN, bearer(registry), None)
    assert way.authorization(PLAIN) == "Bearer t1"
    registry.replies["/token"] = Reply(body=b'{"access_token":"t2"}')
    way.renew(PLAIN, bearer(registry), None)
    assert way.authorization(PLAIN) == "Bearer t1", "another thread was quicker"
    way.renew(PLAIN, bearer(registry), "Bearer t1")
    assert way.authorization(PLAIN) == "Bearer t2"
    query = "service=the+service&scope=repository%3Aa%2Fb%3Apull"
    assert registry.requests[0][0] == f"/token?x=1&{query}"
    assert "Authorization" not in registry.requests[0][1]


def test_token_for_a_password(http: Http, registry: FakeRegistry) -> None:
    registry.replies["/token"] = token("t")
    access(http, US).renew(PLAIN, bearer(registry), None)
    ((path, headers),) = registry.requests
    assert headers["Authorization"] == BASIC
    assert parse_qs(urlsplit(path).query)["account"] == ["me"]


def test_token_for_an_identity_token(http: Http, registry: FakeRegistry) -> None:
    registry.replies["/token"] = Reply(body=b'{"access_token":"t","refresh_token":"new"}')
    way = access(http, IdentityToken("re&fresh"))
    way.renew(PLAIN, bearer(registry), None)
    assert way.authorization(PLAIN) == "Bearer t"
    assert parse_qs(registry.forms["/token"].decode()) == {
        "grant_type": ["refresh_token"],
        "service": ["the service"],
        "client_id": ["atomic-sys"],
        "scope": [SCOPE],
        "refresh_token": ["re&fresh"],
    }
    assert "Authorization" not in registry.requests[0][1]


def test_identity_token_is_not_redirected(http: Http, registry: FakeRegistry) -> None:
    with FakeRegistry() as other:
        location = {"Location": f"{other.url}/token"}
        registry.replies["/token"] = Reply(status=307, headers=location)
        with pytest.raises(NetworkError, match="redirect"):
            access(http, IdentityToken("t")).renew(PLAIN, bearer(registry), None)
        assert not other.requests


def test_password_is_not_redirected_to_another_host(http: Http, registry: FakeRegistry) -> None:
    with FakeRegistry() as other:
        location = {"Location": f"{other.url}/token"}
        registry.replies["/token"] = Reply(status=307, headers=location)
        other.replies["/token"] = token("t")
        access(http, US).renew(PLAIN, bearer(registry), None)
        assert "Authorization" in registry.requests[0][1]
        assert "Authorization" not in other.requests[0][1]


@pytest.mark.parametrize(
    ("life", "kept"), [("300", 300), ("1", 60), ("-5", 60), ('"x"', 60), ("null", 60)]
)
def test_expiry(http: Http, registry: FakeRegistry, life: str, kept: int) -> None:
    clock = Clock()
    way = Access(http, lambda: None, scope=SCOPE, clock=clock)
    registry.replies["/token"] = token("t1", expires_in=life)
    way.renew(PLAIN, bearer(registry), None)
    registry.replies["/token"] = token("t2")
    clock.now += kept - 1
    assert way.authorization(PLAIN) == "Bearer t1"
    clock.now += 1
    assert way.authorization(PLAIN) == "Bearer t2"
    assert len(registry.requests) == 2


def test_more_scope(http: Http, registry: FakeRegistry) -> None:
    way = access(http)
    registry.replies["/token"] = token("t1")
    way.renew(PLAIN, bearer(registry), None)
    more = bearer(registry, ',error="insufficient_scope",scope="repository:c:pull"')
    assert way.wants_more(more) and not way.wants_more(bearer(registry))
    registry.replies["/token"] = token("t2")
    way.renew(PLAIN, more, "Bearer t1")
    assert way.authorization(PLAIN) == "Bearer t2"
    assert not way.wants_more(more), "it was asked for"
    asked = [parse_qs(urlsplit(path).query)["scope"] for path, _ in registry.requests]
    assert asked == [[SCOPE], [SCOPE, "repository:c:pull"]]


def test_basic(http: Http) -> None:
    way = access(http, US)
    way.renew(PLAIN, 'Negotiate, Basic realm="x"', None)
    assert way.authorization(PLAIN) == BASIC
    way.renew(PLAIN, "Basic realm=x", None)
    with pytest.raises(AccessDenied, match="password of me"):
        way.renew(PLAIN, "Basic realm=x", BASIC)


def test_credentials_are_looked_up_once_and_late(http: Http) -> None:
    calls: list[int] = []

    def find() -> None:
        calls.append(1)

    way = Access(http, find, scope=SCOPE)
    assert way.authorization(PLAIN) is None and not calls
    for _ in range(2):
        with pytest.raises(AccessDenied):
            way.renew(PLAIN, "Basic", None)
    assert len(calls) == 1


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
    with pytest.raises(NetworkError, match=message):
        access(http).renew(Server(url="https://h", tls=Tls.VERIFIED), header, None)


def test_secrets_need_https_even_where_no_certificate_is_checked(
    http: Http, registry: FakeRegistry
) -> None:
    server = Server(url="https://h", tls=Tls.UNVERIFIED)
    registry.replies["/token"] = token("t")
    for credentials in (US, IdentityToken("t")):
        with pytest.raises(NetworkError, match="without https"):
            access(http, credentials).renew(server, bearer(registry), None)
    assert not registry.requests
    access(http).renew(server, bearer(registry), None)
    with pytest.raises(AccessDenied, match="user name"):
        access(http, IdentityToken("t")).renew(server, "Basic", None)


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
    with pytest.raises(error, match=message):
        access(http).renew(PLAIN, bearer(registry), None)


@pytest.mark.parametrize(
    ("credentials", "who"), [(US, "of me"), (IdentityToken("t"), "identity token")]
)
def test_refused_credentials(
    http: Http, registry: FakeRegistry, credentials: Credentials, who: str
) -> None:
    registry.replies["/token"] = Reply(status=401)
    with pytest.raises(AccessDenied, match=who):
        access(http, credentials).renew(PLAIN, bearer(registry), None)
