# SPDX-License-Identifier: LGPL-2.1-or-later
"""auth.json as tables."""

import base64
import json

import pytest

from atomic_sys.errors import AtomicSysError, UsageError
from atomic_sys.image import auth_file
from atomic_sys.image.auth_file import (
    AuthFile,
    Credentials,
    IdentityToken,
    Layout,
    Password,
    encoded,
    login_key,
    parse,
    parse_option,
)


def auth(text: str) -> dict[str, str]:
    return {"auth": base64.b64encode(text.encode()).decode()}


def document(**top: object) -> bytes:
    return json.dumps(top).encode()


KEYS = {
    "quay.io": auth("host:1"),
    "quay.io/a": auth("a:1"),
    "quay.io/a/b/image": auth("image:1"),
    "https://index.docker.io/v1/": auth("hub:1"),
    "http://old.example/v2/ignored": auth("old:1"),
    "localhost:5000": auth("local:1:2"),
}


@pytest.mark.parametrize(
    ("repository", "user"),
    [
        ("quay.io/a/b/image", "image"),
        ("quay.io/a/b/image2", "a"),
        ("quay.io/a/b", "a"),
        ("quay.io/a", "a"),
        ("quay.io/ab", "host"),
        ("quay.io", "host"),
        ("quay.io.evil/a", None),
        ("docker.io/library/busybox", "hub"),
        ("old.example/x", "old"),
        ("localhost:5000/x", "local"),
        ("localhost/x", None),
    ],
)
def test_most_specific_key(repository: str, user: str | None) -> None:
    found = parse(document(auths=KEYS), "f").find(repository)
    assert (found.user if isinstance(found, Password) else None) == user


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        (auth("u:p"), parse_option("u:p")),
        (auth("u:p:q"), parse_option("u:p:q")),
        (auth("u:p\0\0"), parse_option("u:p")),
        (auth("u:"), parse_option("u:")),
        (auth("nocolon"), None),
        ({}, None),
        ({"auth": ""}, None),
        ({"email": "x", "future": 1}, None),
        (auth("u:p") | {"identitytoken": "t"}, IdentityToken("t")),
    ],
)
def test_entries(entry: dict[str, str], expected: Credentials | None) -> None:
    found = parse(document(auths={"h.example": entry}), "f").find("h.example/x")
    assert found == expected
    assert parse(document(**{"h.example/v1/": entry}), "f", Layout.LEGACY).find("h.example/q") == (
        expected
    )


def test_plain_key_wins_over_a_url() -> None:
    for keys in (["q.io", "https://q.io/v1/"], ["https://q.io/v1/", "q.io"]):
        found = parse(document(auths={key: auth(f"{key[:4]}:x") for key in keys}), "f")
        assert found.find("q.io") == parse_option("q.io:x")


@pytest.mark.parametrize("empty", [b"", b" \n", b"{}", b'{"auths": null}'])
def test_empty(empty: bytes) -> None:
    assert parse(empty, "f") == AuthFile()


@pytest.mark.parametrize(
    "bad",
    [
        b"[]",
        b"{",
        b'{"auths": []}',
        b'{"auths": {"h": 1}}',
        b'{"auths": {"h": {"auth": 5}}}',
        b'{"auths": {"h": {"auth": "***"}}}',
        b'{"auths": {"h": {"auth": "/////w=="}}}',
        b'{"auths": {"h": {}, "h": {}}}',
        b'{"credHelpers": {"h": "../x"}}',
        b'{"credHelpers": {"h": 1}}',
        b'{"credsStore": "-x"}',
        b'{"credsStore": 7}',
    ],
)
def test_broken(bad: bytes) -> None:
    with pytest.raises(AtomicSysError, match=r"f\b|helper"):
        parse(bad, "f")


def test_helpers() -> None:
    body = document(credHelpers={"https://index.docker.io/v1/": "pass"}, credsStore="secretservice")
    found = parse(body, "f")
    assert found.helpers == {"docker.io": "pass"}
    assert found.default_helper == "secretservice"


def test_answers_of_a_helper() -> None:
    answer = b'{"ServerURL":"h","Username":"u","Secret":"s"}'
    assert auth_file.from_helper(answer, "x") == parse_option("u:s")
    assert auth_file.from_helper(answer.replace(b'"u"', b'"<token>"'), "x") == IdentityToken("s")
    assert auth_file.from_helper(b"{}", "x") is None


def test_option() -> None:
    whole, bare = parse_option("u:p:q"), parse_option("u")
    assert (whole.user, whole.password) == ("u", "p:q")
    assert (bare.user, bare.password) == ("u", "")
    with pytest.raises(UsageError, match="USER"):
        parse_option(":p")


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("quay.io", "quay.io"),
        ("quay.io/a/b", "quay.io/a/b"),
        ("[::1]:5000", "[::1]:5000"),
        ("index.docker.io", "docker.io"),
        ("https://quay.io", None),
        ("quay.io/a:tag", None),
        ("quay.io/a@sha256:00", None),
        ("quay.io/", None),
        ("", None),
        ("-u\n", None),
    ],
)
def test_login_key(text: str, key: str | None) -> None:
    if key is not None:
        assert login_key(text) == key
        return
    with pytest.raises(UsageError, match="no registry"):
        login_key(text)


def test_secrets_are_not_shown() -> None:
    shown = repr([parse_option("u:hidden"), IdentityToken("hidden")])
    assert "hidden" not in shown
    assert base64.b64decode(encoded(parse_option("ü:ö:"))).decode() == "ü:ö:"
