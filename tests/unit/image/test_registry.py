# SPDX-License-Identifier: LGPL-2.1-or-later
"""The registry origin against a registry that lies."""

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from atomic_sys.errors import ExitCode
from atomic_sys.image.auth_file import encoded, parse_option
from atomic_sys.image.credentials import CredentialLookup
from atomic_sys.image.http import Http
from atomic_sys.image.http_response import NetworkError
from atomic_sys.image.registries_conf import Registries, parse
from atomic_sys.image.registry import NotInRegistry, RegistryOrigin
from atomic_sys.image.retry import Patience
from atomic_sys.model.digest import Digest
from atomic_sys.model.manifest import MANIFEST_LIMIT, OCI_MANIFEST, Descriptor
from atomic_sys.model.reference import ImageName
from atomic_sys.model.source import RegistrySource
from atomic_sys.model.stream import ContentMismatch, TooLarge
from tests.support.fake_registry import FakeRegistry, Reply

MANIFEST = b'{"schemaVersion": 2}'
BLOB = bytes(range(256)) * 4096


def origin(http: Http, registry: FakeRegistry, name: str = "a/b:1") -> RegistryOrigin:
    registry.replies.setdefault("/v2/", Reply())
    source = RegistrySource(name=ImageName.parse(f"{registry.host}/{name}"), plain_http=True)
    return RegistryOrigin(http, source, Registries(), None, Patience(sleep=lambda _: None))


def promise(content: bytes = BLOB, size: int | None = None) -> Descriptor:
    return Descriptor(
        media_type="x",
        digest=Digest.of(content),
        size=len(content) if size is None else size,
        annotations={},
    )


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


def test_blob(http: Http, registry: FakeRegistry) -> None:
    path = f"/v2/a/b/blobs/{promise().digest}"
    with FakeRegistry() as storage:
        storage.replies["/data"] = Reply(body=BLOB)
        registry.replies[path] = Reply(status=307, headers={"Location": f"{storage.url}/data"})
        assert b"".join(origin(http, registry).blob(promise())) == BLOB


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (Reply(body=BLOB[:-1]), ContentMismatch),
        (Reply(body=BLOB + b"x"), ContentMismatch),
        (Reply(body=b"x" + BLOB[1:]), ContentMismatch),
        (Reply(body=BLOB, endless=True), ContentMismatch),
        (Reply(body=BLOB[:5000], length=len(BLOB)), NetworkError),
        (Reply(body=b"<html>"), ContentMismatch),
        (Reply(status=404), NotInRegistry),
        (Reply(status=206, body=BLOB), NetworkError),
    ],
)
def test_bad_blobs(
    http: Http, registry: FakeRegistry, reply: Reply, error: type[Exception]
) -> None:
    registry.replies[f"/v2/a/b/blobs/{promise().digest}"] = reply
    with pytest.raises(error):
        for _ in origin(http, registry).blob(promise()):
            pass


def test_closing_a_blob_closes_the_connection(http: Http, registry: FakeRegistry) -> None:
    path = f"/v2/a/b/blobs/{promise().digest}"
    registry.replies[path] = Reply(body=BLOB, endless=True)
    stream = origin(http, registry).blob(promise(size=1 << 40))
    next(stream)
    assert not registry.hung_up.is_set()
    stream.close()
    assert registry.hung_up.wait(5)


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


def cutting(*cuts: int) -> Callable[[Mapping[str, str]], Reply]:
    """A blob whose connection breaks at each of these offsets, once, in their order."""
    left = list(cuts)

    def answer(headers: Mapping[str, str]) -> Reply:
        start = int(headers.get("Range", "bytes=0-").removeprefix("bytes=").removesuffix("-"))
        end = left.pop(0) if left else len(BLOB)
        said = {"Content-Range": f"bytes {start}-{len(BLOB) - 1}/{len(BLOB)}"}
        return Reply(
            status=206 if "Range" in headers else 200,
            headers=said if "Range" in headers else {},
            body=BLOB[start:end],
            length=len(BLOB) - start,
        )

    return answer


@pytest.mark.parametrize(
    "cuts", [(0,), (1,), (300_000,), (len(BLOB) - 1,), (0, 0), (5000, 5000)], ids=str
)
def test_broken_blobs_are_resumed(
    http: Http, registry: FakeRegistry, cuts: tuple[int, ...]
) -> None:
    path = f"/v2/a/b/blobs/{promise().digest}"
    registry.replies[path] = cutting(*cuts)
    stream = origin(http, registry).blob(promise())
    if len(cuts) == 1:
        assert b"".join(stream) == BLOB
        assert len(registry.asked(path)) == 2
        return
    with pytest.raises(NetworkError, match=r"after|broke"):  # no progress: no third try
        b"".join(stream)
    assert len(registry.asked(path)) == 2


@pytest.mark.parametrize(
    "rest",
    [
        Reply(body=BLOB),
        Reply(status=206, body=BLOB[300_000:]),
        Reply(status=206, body=BLOB, headers={"Content-Range": "bytes 0-1048575/1048576"}),
        Reply(status=416),
        Reply(status=404),
    ],
    ids=["all", "no range", "another range", "416", "404"],
)
def test_lies_about_the_rest(http: Http, registry: FakeRegistry, rest: Reply) -> None:
    def answer(headers: Mapping[str, str]) -> Reply:
        return rest if "Range" in headers else Reply(body=BLOB[:300_000], length=len(BLOB))

    registry.replies[f"/v2/a/b/blobs/{promise().digest}"] = answer
    with pytest.raises(NetworkError):
        b"".join(origin(http, registry).blob(promise()))


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


def mirrored(
    http: Http, places: tuple[FakeRegistry, FakeRegistry], name: str, more: str = ""
) -> RegistryOrigin:
    """An image of the second registry, which the first one mirrors."""
    mirror, primary = places
    for place in places:
        place.replies["/v2/"] = Reply()
    conf = (
        f'[[registry]]\nlocation = "{primary.host}"\ninsecure = true\n[[registry.mirror]]\n'
        f'location = "{mirror.host}/copy"\ninsecure = true\n{more}'
    )
    source = RegistrySource(name=ImageName.parse(f"{primary.host}/{name}"))
    registries = parse(conf.encode(), "conf")
    return RegistryOrigin(http, source, registries, None, Patience(sleep=lambda _: None))


def test_mirror(http: Http, registry: FakeRegistry) -> None:
    with FakeRegistry() as mirror:
        found = mirrored(http, (mirror, registry), "a/b:1")
        mirror.replies["/v2/copy/a/b/manifests/1"] = Reply(body=MANIFEST)
        mirror.replies[f"/v2/copy/a/b/blobs/{promise().digest}"] = Reply(body=BLOB)
        assert found.manifest(None).raw == MANIFEST
        assert b"".join(found.blob(promise())) == BLOB
        assert not registry.requests
        assert str(found.reference) == f"{registry.host}/a/b:1", "the policy judges this"
        assert found.description.endswith(f"at {mirror.host}/copy/a/b")


@pytest.mark.parametrize(
    "reply",
    [Reply(status=404), Reply(status=503), Reply(status=401), Reply(body=b"x", length=9)],
    ids=["404", "503", "401", "cut"],
)
def test_mirror_that_fails(http: Http, registry: FakeRegistry, reply: Reply) -> None:
    with FakeRegistry() as mirror:
        found = mirrored(http, (mirror, registry), "a/b:1")
        mirror.replies["/v2/copy/a/b/manifests/1"] = reply
        with pytest.raises(NetworkError) as caught:
            found.manifest(None)
        assert str(caught.value).startswith(f"{mirror.host}/copy/a/b: ")
        assert "404: NAME_UNKNOWN" in str(caught.value), "each attempt is told"
        assert isinstance(caught.value, NotInRegistry) == (reply.status == 404)
        registry.replies["/v2/a/b/manifests/1"] = Reply(body=MANIFEST)
        assert found.manifest(None).raw == MANIFEST
        assert len(mirror.asked("/v2/copy/a/b/manifests/1")) == 2
        found.manifest(None)
        assert len(mirror.asked("/v2/copy/a/b/manifests/1")) == 2, "the other one was chosen"


def test_mirror_only_for(http: Http, registry: FakeRegistry) -> None:
    digest = Digest.of(MANIFEST)
    for more, by_tag, by_digest in (
        ('pull-from-mirror = "tag-only"', 1, 0),
        ('pull-from-mirror = "digest-only"', 0, 1),
        ('pull-from-mirror = "all"', 1, 1),
    ):
        with FakeRegistry() as mirror:
            for name in ("1", str(digest)):
                mirror.replies[f"/v2/copy/a/b/manifests/{name}"] = Reply(body=MANIFEST)
                registry.replies[f"/v2/a/b/manifests/{name}"] = Reply(body=MANIFEST)
            mirrored(http, (mirror, registry), "a/b:1", more).manifest(None)
            mirrored(http, (mirror, registry), f"a/b@{digest}", more).manifest(None)
            assert len(mirror.asked("/v2/copy/a/b/manifests/1")) == by_tag
            assert len(mirror.asked(f"/v2/copy/a/b/manifests/{digest}")) == by_digest


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
