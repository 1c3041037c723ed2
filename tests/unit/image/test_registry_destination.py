# SPDX-License-Identifier: LGPL-2.1-or-later
"""Images written to a registry that refuses, redirects and contradicts."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from atomic_sys.image.auth import AccessDenied
from atomic_sys.image.http import Http
from atomic_sys.image.http_response import NetworkError, Temporary
from atomic_sys.image.registries_conf import InvalidRegistries, Registries, parse
from atomic_sys.image.registry_destination import RegistryDestination, RegistryWriter
from atomic_sys.model.digest import Digest
from atomic_sys.model.manifest import OCI_MANIFEST, Descriptor
from atomic_sys.model.reference import ImageName
from atomic_sys.model.source import RegistrySource
from atomic_sys.model.stream import ContentMismatch
from tests.support.upload_registry import Answer, UploadRegistry
from tests.unit.image.uploading import (
    BASIC,
    BLOB,
    DIGEST,
    MANIFEST,
    PROMISE,
    RAW,
    chunks,
    destination,
)


@pytest.mark.parametrize("absolute", [False, True])
def test_an_image(http: Http, uploads: UploadRegistry, *, absolute: bool) -> None:
    uploads.absolute = absolute
    with destination(http, uploads) as place:
        assert not place.has_blob(PROMISE)
        place.put_blob(PROMISE, chunks())
        assert place.has_blob(PROMISE)
        place.put_manifest(MANIFEST)
        place.finish(MANIFEST)
    assert uploads.blobs["a/b"] == {str(DIGEST): BLOB}
    wanted = (OCI_MANIFEST, RAW)
    assert uploads.manifests == {
        ("a/b", str(MANIFEST.digest)): wanted,
        ("a/b", "1"): wanted,
    }
    assert uploads.names[-7:] == [
        "HEAD blob", "POST begin", "PATCH upload", "PUT upload", "HEAD blob",
        "PUT manifest", "PUT manifest",
    ]  # fmt: skip
    assert not uploads.cancelled
    assert uploads.called("PATCH upload")[0].headers["Content-Length"] == str(len(BLOB))


def test_an_empty_blob(http: Http, uploads: UploadRegistry) -> None:
    empty = Descriptor(media_type="x", digest=Digest.of(b""), size=0, annotations={})
    destination(http, uploads).put_blob(empty, ())
    assert uploads.blobs["a/b"] == {str(empty.digest): b""}


def test_a_foreign_layer(http: Http, uploads: UploadRegistry) -> None:
    """It is left where it is; an address at any other blob means nothing."""
    kind = "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip"
    layer = replace(PROMISE, urls=("https://example.invalid/",))
    place = destination(http, uploads)
    assert place.has_blob(replace(layer, media_type=kind))
    assert not uploads.calls
    assert not place.has_blob(layer)


def test_by_digest(http: Http, uploads: UploadRegistry) -> None:
    destination(http, uploads, f"a/b@{MANIFEST.digest}").finish(MANIFEST)
    assert list(uploads.manifests) == [("a/b", str(MANIFEST.digest))]
    with pytest.raises(NetworkError, match="another digest"):
        destination(http, uploads, f"a/b@{DIGEST}").finish(MANIFEST)


def test_mounted(http: Http, uploads: UploadRegistry) -> None:
    uploads.blobs["other"] = {str(DIGEST): BLOB}
    place = destination(http, uploads, known=["empty", "a/b", "other"])
    uploads.fail("POST begin", Answer(status=403))
    assert place.has_blob(PROMISE)
    assert uploads.blobs["a/b"] == {str(DIGEST): BLOB}
    asked = [call.query for call in uploads.called("POST begin")]
    assert asked == [{"mount": str(DIGEST), "from": name} for name in ("empty", "other")]


def test_an_upload_instead_of_a_mount(http: Http, uploads: UploadRegistry) -> None:
    uploads.mounts = False
    place = destination(http, uploads, known=["other", "another"])
    assert not place.has_blob(PROMISE)
    place.put_blob(PROMISE, chunks())
    assert len(uploads.called("POST begin")) == 1, "the upload that began is used"
    assert uploads.blobs["a/b"] == {str(DIGEST): BLOB}


def test_an_upload_that_is_not_used_is_cancelled(http: Http, uploads: UploadRegistry) -> None:
    uploads.mounts = False
    with destination(http, uploads, known=["other"]) as place:
        assert not place.has_blob(PROMISE)
    assert uploads.cancelled == ["0/a/b"]


def test_busy(http: Http, uploads: UploadRegistry) -> None:
    busy = Answer(status=429, headers={"Retry-After": "7"})
    uploads.fail("HEAD blob", busy)
    uploads.fail("POST begin", busy)
    uploads.fail("PUT manifest", busy, Answer(status=503))
    waits: list[float] = []
    place = destination(http, uploads, waits=waits)
    assert not place.has_blob(PROMISE)
    place.put_blob(PROMISE, chunks())
    place.finish(MANIFEST)
    assert waits == [7, 7, 7, 1]
    uploads.fail("PATCH upload", busy)
    with pytest.raises(Temporary) as caught:
        place.put_blob(PROMISE, chunks())
    assert caught.value.busy and caught.value.retry_after == "7"


def test_who_may_not_push(http: Http, uploads: UploadRegistry) -> None:
    denied = b'{"errors":[{"code":"DENIED","message":"read only"}]}'
    uploads.fail("HEAD blob", Answer(status=403))
    uploads.fail("POST begin", Answer(status=403, body=denied))
    place = destination(http, uploads)
    with pytest.raises(AccessDenied) as caught:
        place.has_blob(PROMISE)
    assert caught.value.hint == f"atomic login {uploads.host}"
    with pytest.raises(NetworkError, match="DENIED: read only") as denial:
        place.put_blob(PROMISE, chunks())
    assert denial.value.hint == f"atomic login {uploads.host}"


def test_another_host_takes_the_upload(http: Http, uploads: UploadRegistry) -> None:
    uploads.fail("POST begin", Answer(status=401, headers=BASIC))
    with UploadRegistry() as other:
        other.sessions["0/a/b"], other.states["0/a/b"] = bytearray(), 1
        uploads.base = other.url
        destination(http, uploads, creds="me:secret").put_blob(PROMISE, chunks())
        assert other.blobs["a/b"] == {str(DIGEST): BLOB}
        assert all("Authorization" not in call.headers for call in other.calls)
    assert "Authorization" in uploads.called("POST begin")[-1].headers


def test_the_same_host_spelled_otherwise(http: Http, uploads: UploadRegistry) -> None:
    uploads.base = uploads.url.replace("http:", "HTTP:")
    uploads.fail("POST begin", Answer(status=401, headers=BASIC))
    destination(http, uploads, creds="me:secret").put_blob(PROMISE, chunks())
    assert "Authorization" in uploads.called("PATCH upload")[0].headers


@pytest.mark.parametrize("location", ["http://[::1", "http://h:x/", "ftp://h/"])
def test_no_address(http: Http, uploads: UploadRegistry, location: str) -> None:
    uploads.base = location
    with pytest.raises(NetworkError):
        destination(http, uploads).put_blob(PROMISE, chunks())


def test_redirected(http: Http, uploads: UploadRegistry) -> None:
    with UploadRegistry() as other:
        to_begin = {"Location": f"{other.url}/v2/a/b/blobs/uploads/"}
        uploads.fail(
            "POST begin",
            Answer(status=401, headers=BASIC),
            Answer(status=307, headers=to_begin),
            Answer(status=303, headers=to_begin),
        )
        place = destination(http, uploads, creds="me:secret")
        place.put_blob(PROMISE, chunks())
        assert other.blobs["a/b"] == {str(DIGEST): BLOB}
        assert all("Authorization" not in call.headers for call in other.calls)
        with pytest.raises(NetworkError, match="another request"):
            place.put_blob(PROMISE, chunks())
        other.calls.clear()
        stream = Answer(status=307, headers={"Location": f"{other.url}/upload/0"})
        uploads.fail("PATCH upload", stream)
        with pytest.raises(NetworkError, match="cannot be sent again"):
            place.put_blob(PROMISE, chunks())
        assert not other.calls
        assert uploads.cancelled


def test_https_stays_https(http: Http, certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate.with_suffix(".crt")))
    with UploadRegistry(certificate) as secure, UploadRegistry() as plain:
        secure.base = plain.url
        with pytest.raises(NetworkError, match="without https"):
            destination(http, secure).put_blob(PROMISE, chunks())
        assert not plain.calls


@pytest.mark.parametrize(
    ("name", "answer", "message"),
    [
        ("POST begin", Answer(status=202), "does not say where"),
        ("POST begin", Answer(status=404), "404"),
        (
            "POST begin",
            Answer(status=202, headers={"Location": "/x", "OCI-Chunk-Min-Length": "9" * 12}),
            "wants chunks",
        ),
        ("PATCH upload", Answer(status=413, body=b"<html>too large"), "status 413$"),
        (
            "PUT upload",
            Answer(status=201, headers={"Docker-Content-Digest": "sha256:\x1b"}),
            "says that it stored",
        ),
        ("PUT upload", Answer(status=400, body=b'{"errors":[{"code":"SIZE_INVALID"}]}'), "SIZE"),
    ],
)
def test_bad_answers(
    http: Http, uploads: UploadRegistry, name: str, answer: Answer, message: str
) -> None:
    uploads.fail(name, answer)
    with pytest.raises(NetworkError, match=message) as caught:
        destination(http, uploads).put_blob(PROMISE, chunks())
    assert not isinstance(caught.value, Temporary)
    assert "a/b" not in uploads.blobs
    assert len(uploads.cancelled) == (name != "POST begin")


def test_manifests_that_are_not_taken(http: Http, uploads: UploadRegistry) -> None:
    error = b'{"errors":[{"code":"MANIFEST_INVALID","message":"no\\u001b"}]}'
    uploads.fail(
        "PUT manifest",
        Answer(status=400, body=error),
        Answer(status=201, headers={"Docker-Content-Digest": str(DIGEST)}),
    )
    place = destination(http, uploads)
    with pytest.raises(NetworkError, match="MANIFEST_INVALID: no"):
        place.finish(MANIFEST)
    with pytest.raises(NetworkError, match="says that it stored"):
        place.finish(MANIFEST)


def test_a_source_that_lies(http: Http, uploads: UploadRegistry) -> None:
    def broken() -> Iterator[bytes]:
        yield BLOB[:1000]
        raise ContentMismatch("not what was promised")

    with pytest.raises(ContentMismatch):
        destination(http, uploads).put_blob(PROMISE, broken())
    assert uploads.cancelled == ["0/a/b"]
    assert not uploads.blobs


def test_configuration(http: Http, uploads: UploadRegistry) -> None:
    """A registry may be blocked or insecure; what is written is not sent to another place."""
    target = RegistrySource(name=ImageName.parse(f"{uploads.host}/a/b:1"))

    def conf(location: str, flag: str) -> Registries:
        text = f'[[registry]]\nprefix = "{uploads.host}"\nlocation = "{location}"\n{flag} = true\n'
        return parse(text.encode(), "conf")

    with pytest.raises(InvalidRegistries, match="blocks"):
        RegistryWriter(http, target, conf(uploads.host, "blocked"))
    moved = RegistryWriter(http, target, conf("example.invalid", "insecure"))
    RegistryDestination(moved, lambda _digest, _signatures: None).finish(MANIFEST)
    assert ("a/b", "1") in uploads.manifests
