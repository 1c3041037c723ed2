# SPDX-License-Identifier: LGPL-2.1-or-later
"""Whom a registry gets a password or a token from, and which."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from atomic_sys.image.auth_file import encoded, parse_option
from atomic_sys.image.credentials import CredentialLookup
from atomic_sys.image.http import Http
from atomic_sys.image.http_response import NetworkError
from atomic_sys.image.registries_conf import Registries, parse
from atomic_sys.image.registry import RegistryOrigin
from atomic_sys.model.reference import ImageName
from atomic_sys.model.source import RegistrySource
from tests.support.fake_registry import FakeRegistry, Reply
from tests.unit.image.origins import BLOB, MANIFEST, mirrored, origin, promise


def test_token(http: Http, registry: FakeRegistry) -> None:
    valid = ["t1"]

    def guarded(headers: Mapping[str, str]) -> Reply:
        if headers.get("Authorization") == f"Bearer {valid[0]}":
            return Reply(body=MANIFEST)
        realm = f'Bearer realm="{registry.url}/token",service="s"'
        return Reply(status=401, headers={"WWW-Authenticate": realm})

    registry.replies["/v2/a/b/manifests/1"] = guarded
    registry.replies["/token"] = lambda _: Reply(body=b'{"token":"%s"}' % valid[0].encode())
    source = origin(http, registry)
    assert source.manifest(None).raw == source.manifest(None).raw == MANIFEST
    assert len(registry.asked("/token")) == 1
    valid[0] = "t2"  # the old one has expired
    assert source.manifest(None).raw == MANIFEST
    registry.replies["/token"] = Reply(body=b'{"token":"never right"}')
    valid[0] = "t3"
    registry.replies["/token"] = Reply(body=b'{"token":"wrong"}')
    with pytest.raises(NetworkError, match="401") as caught:
        source.manifest(None)
    assert caught.value.hint


def test_basic_is_explained(http: Http, registry: FakeRegistry) -> None:
    registry.replies["/v2/a/b/manifests/1"] = Reply(
        status=401, headers={"WWW-Authenticate": 'Basic realm="x"'}
    )
    with pytest.raises(NetworkError, match="password") as caught:
        origin(http, registry).manifest(None)
    assert caught.value.hint


def lookup(tmp_path: Path, *entries: str, given: str | None = None) -> CredentialLookup:
    """Credentials from a file, each `KEY USER:PASSWORD`."""
    pairs = (entry.split(" ") for entry in entries)
    auths = {key: {"auth": encoded(parse_option(secret))} for key, secret in pairs}
    path = tmp_path / f"{len(auths)}.json"
    path.write_text(json.dumps({"auths": auths}))
    path.chmod(0o600)
    password = None if given is None else parse_option(given)
    return CredentialLookup({}, named=str(path), given=password)


def guarded(secret: str, reply: Reply) -> Callable[[Mapping[str, str]], Reply]:
    """The reply for whoever comes with `USER:PASSWORD`."""

    def answer(headers: Mapping[str, str]) -> Reply:
        if headers.get("Authorization") == f"Basic {encoded(parse_option(secret))}":
            return reply
        return Reply(status=401, headers={"WWW-Authenticate": 'Basic realm="x"'})

    return answer


def test_password_of_the_repository(http: Http, registry: FakeRegistry, tmp_path: Path) -> None:
    registry.replies["/v2/"] = Reply()
    registry.replies["/v2/a/b/manifests/1"] = guarded("u:p", Reply(body=MANIFEST))
    source = RegistrySource(name=ImageName.parse(f"{registry.host}/a/b:1"), plain_http=True)
    for credentials in (
        lookup(tmp_path, f"{registry.host} x:y", f"{registry.host}/a/b u:p"),
        lookup(tmp_path, f"{registry.host}/a/b x:y", given="u:p"),
    ):
        assert RegistryOrigin(http, source, Registries(), credentials).manifest(None).raw
    wrong = RegistryOrigin(http, source, Registries(), lookup(tmp_path, given="u:q"))
    with pytest.raises(NetworkError, match=r"401") as caught:
        wrong.manifest(None)
    assert caught.value.hint == f"atomic login {registry.host}"
    assert "u:q" not in str(caught.value)


def test_password_stays_with_its_host(http: Http, registry: FakeRegistry, tmp_path: Path) -> None:
    with FakeRegistry() as storage:
        moved = Reply(status=307, headers={"Location": f"{storage.url}/data"})
        registry.replies["/v2/"] = Reply()
        registry.replies[f"/v2/a/b/blobs/{promise().digest}"] = guarded("u:p", moved)
        storage.replies["/data"] = Reply(body=BLOB)
        source = RegistrySource(name=ImageName.parse(f"{registry.host}/a/b:1"), plain_http=True)
        credentials = lookup(tmp_path, given="u:p")
        found = RegistryOrigin(http, source, Registries(), credentials).blob(promise())
        assert b"".join(found) == BLOB
        assert "Authorization" not in storage.asked("/data")[0]


def test_scope_that_is_missing(http: Http, registry: FakeRegistry) -> None:
    scope = "repository:base:pull"

    def answer(headers: Mapping[str, str]) -> Reply:
        if headers.get("Authorization") == "Bearer both":
            return Reply(body=MANIFEST)
        challenge = f'Bearer realm="{registry.url}/token"'
        if headers.get("Authorization") == "Bearer one":
            challenge += f',error="insufficient_scope",scope="{scope}"'
        return Reply(status=401, headers={"WWW-Authenticate": challenge})

    registry.replies["/v2/a/b/manifests/1"] = answer
    tokens = iter([b"one", b"both", b"one", b"one"])
    registry.replies["/token"] = lambda _: Reply(body=b'{"token":"%s"}' % next(tokens))
    assert origin(http, registry).manifest(None).raw == MANIFEST
    asked = [path for path, _ in registry.requests if path.startswith("/token")]
    assert "base" not in asked[0] and "base" in asked[1]
    with pytest.raises(NetworkError, match="401"):  # it never gives more: we do not ask for ever
        origin(http, registry).manifest(None)


def test_given_password_is_not_for_a_mirror(
    http: Http, registry: FakeRegistry, tmp_path: Path
) -> None:
    credentials = lookup(tmp_path, given="u:p")
    with FakeRegistry() as mirror:
        mirrored(http, (mirror, registry), "a/b:1")  # for its pings
        mirror.replies["/v2/a/b/manifests/1"] = guarded("u:p", Reply(body=MANIFEST))
        registry.replies["/v2/a/b/manifests/1"] = guarded("u:p", Reply(body=MANIFEST))
        conf = (
            f'[[registry]]\nlocation = "{registry.host}"\ninsecure = true\n'
            f'[[registry.mirror]]\nlocation = "{mirror.host}"\ninsecure = true\n'
        )
        source = RegistrySource(name=ImageName.parse(f"{registry.host}/a/b:1"))
        found = RegistryOrigin(http, source, parse(conf.encode(), "conf"), credentials)
        assert found.manifest(None).raw == MANIFEST
        assert all("Authorization" not in headers for _, headers in mirror.requests)
