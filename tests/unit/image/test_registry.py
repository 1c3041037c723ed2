# SPDX-License-Identifier: LGPL-2.1-or-later
"""The registry origin against a registry that lies."""

import hashlib

import pytest

from atomic_sys.errors import ExitCode
from atomic_sys.image.http import Http
from atomic_sys.image.http_response import NetworkError
from atomic_sys.image.registries_conf import Registries, parse
from atomic_sys.image.registry import NotInRegistry, RegistryOrigin
from atomic_sys.model.digest import Digest
from atomic_sys.model.manifest import MANIFEST_LIMIT, OCI_MANIFEST
from atomic_sys.model.reference import ImageName
from atomic_sys.model.source import RegistrySource
from atomic_sys.model.stream import ContentMismatch, TooLarge
from tests.support.fake_registry import FakeRegistry, Reply
from tests.unit.image.origins import MANIFEST, origin


def test_manifest_by_tag(http: Http, registry: FakeRegistry) -> None:
    registry.replies["/v2/a/b/manifests/1"] = Reply(
        body=MANIFEST, headers={"Content-Type": OCI_MANIFEST}
    )
    source = origin(http, registry)
    manifest = source.manifest(None)
    assert (manifest.raw, manifest.digest) == (MANIFEST, Digest.of(MANIFEST))
    assert manifest.content_type == OCI_MANIFEST
    (asked,) = registry.asked("/v2/a/b/manifests/1")
    assert OCI_MANIFEST in asked["Accept"]
    registry.replies["/v2/a/b/manifests/1"] = Reply(body=b"other")
    assert source.manifest(None).raw == b"other", "a tag is never cached"


@pytest.mark.parametrize(
    "digest", [Digest.of(MANIFEST), Digest("sha512", hashlib.sha512(MANIFEST).hexdigest())]
)
def test_manifest_by_digest(http: Http, registry: FakeRegistry, digest: Digest) -> None:
    path = f"/v2/a/b/manifests/{digest}"
    registry.replies[path] = Reply(body=MANIFEST)
    assert origin(http, registry).manifest(digest).digest == digest
    assert origin(http, registry, f"a/b@{digest}").manifest(None).raw == MANIFEST
    assert str(origin(http, registry, f"a/b:1@{digest}").reference).endswith(f"/a/b@{digest}")
    registry.replies[path] = Reply(body=MANIFEST + b" ")
    with pytest.raises(ContentMismatch):
        origin(http, registry).manifest(digest)
    with pytest.raises(ContentMismatch):
        origin(http, registry, f"a/b@{digest}").manifest(None)


@pytest.mark.parametrize(
    ("reply", "error", "message"),
    [
        (Reply(status=404), NotInRegistry, "404"),
        (Reply(status=403, body=b'{"errors":[{"code":"DENIED"}]}'), NetworkError, "403: DENIED"),
        (Reply(status=500, body=b"<html>"), NetworkError, "500"),
        (Reply(status=401), NetworkError, "denies access"),
        (Reply(status=204), NetworkError, "204"),
        (Reply(body=b" " * (MANIFEST_LIMIT + 1)), TooLarge, "limit"),
        (Reply(body=b" " * 65536, endless=True), TooLarge, "limit"),
        (Reply(body=MANIFEST, length=100), NetworkError, "ended|broke"),
    ],
)
def test_bad_manifests(
    http: Http, registry: FakeRegistry, reply: Reply, error: type[Exception], message: str
) -> None:
    registry.replies["/v2/a/b/manifests/1"] = reply
    with pytest.raises(error, match=message):
        origin(http, registry).manifest(None)
    assert NotInRegistry.exit_code is ExitCode.NOT_FOUND


def test_a_registry_that_contradicts_itself(
    http: Http, registry: FakeRegistry, capsys: pytest.CaptureFixture[str]
) -> None:
    registry.replies["/v2/a/b/manifests/1"] = Reply(
        body=MANIFEST, headers={"Docker-Content-Digest": "sha256:\x1b[31m"}
    )
    assert origin(http, registry).manifest(None).digest == Digest.of(MANIFEST)
    said = capsys.readouterr().err
    assert "warning: " in said and "\x1b" not in said


@pytest.mark.parametrize("how", ["legacy prefix", "registries.conf"])
def test_insecure_prefers_https(
    http: Http, secure_registry: FakeRegistry, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    secure_registry.replies |= {"/v2/": Reply(), "/v2/a/b/manifests/1": Reply(body=MANIFEST)}
    name = ImageName.parse(f"{secure_registry.host}/a/b:1")
    conf = f'[[registry]]\nlocation = "{secure_registry.host}"\ninsecure = true\n'.encode()
    legacy = how == "legacy prefix"
    registries = Registries() if legacy else parse(conf, "conf")
    source = RegistrySource(name=name, plain_http=legacy)
    assert RegistryOrigin(http, source, registries).manifest(None).raw == MANIFEST
    with pytest.raises(NetworkError, match="certificate"):
        RegistryOrigin(http, RegistrySource(name=name), Registries()).manifest(None)


def test_plain_http_needs_consent(http: Http, registry: FakeRegistry) -> None:
    registry.replies["/v2/a/b/manifests/1"] = Reply(body=MANIFEST)
    name = ImageName.parse(f"{registry.host}/a/b:1")
    with pytest.raises(NetworkError, match="cannot reach https"):
        RegistryOrigin(http, RegistrySource(name=name), Registries()).manifest(None)
    assert not registry.requests


def test_no_registry_at_all(http: Http, registry: FakeRegistry) -> None:
    source = origin(http, registry)
    registry.replies["/v2/"] = Reply(status=404)
    with pytest.raises(NetworkError, match=r"no registry: .*https.*; http://.*404"):
        source.manifest(None)


def test_moved(http: Http, registry: FakeRegistry) -> None:
    registry.replies |= {"/v2/": Reply(), "/v2/hub/library/x/manifests/1": Reply(body=MANIFEST)}
    conf = f'[[registry]]\nprefix="docker.io"\nlocation="{registry.host}/hub"\ninsecure=true\n'
    source = RegistrySource(name=ImageName.parse("x:1"))
    moved = RegistryOrigin(http, source, parse(conf.encode(), "conf"))
    assert moved.manifest(None).raw == MANIFEST
    assert str(moved.reference) == "docker.io/library/x:1", "the policy judges what was asked for"
    assert moved.description == f"docker.io/library/x:1 at {registry.host}/hub/library/x"


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_what_passes_is_asked_again(http: Http, registry: FakeRegistry, status: int) -> None:
    path = "/v2/a/b/manifests/1"
    replies = [Reply(status=status), Reply(body=MANIFEST, length=99), Reply(body=MANIFEST)]
    registry.replies[path] = lambda _: replies.pop(0)
    assert origin(http, registry).manifest(None).raw == MANIFEST
    assert len(registry.asked(path)) == 3


@pytest.mark.parametrize("status", [400, 403, 404, 405, 500, 501])
def test_what_was_decided_is_not_asked_again(
    http: Http, registry: FakeRegistry, status: int
) -> None:
    path = "/v2/a/b/manifests/1"
    registry.replies[path] = Reply(status=status)
    with pytest.raises(NetworkError):
        origin(http, registry).manifest(None)
    assert len(registry.asked(path)) == 1
