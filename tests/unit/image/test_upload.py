# SPDX-License-Identifier: LGPL-2.1-or-later
"""Uploads that break off go on where the registry says they came to, or begin anew."""

import pytest

from atomic_sys.image import upload
from atomic_sys.image.http import Http
from atomic_sys.image.http_response import Temporary
from tests.support.upload_registry import Answer, UploadRegistry
from tests.unit.image.uploading import (
    BASIC,
    BLOB,
    DIGEST,
    PROMISE,
    chunks,
    destination,
)


@pytest.mark.parametrize("came", [2, 100_000, 999_999, len(BLOB)])
def test_going_on(
    http: Http, uploads: UploadRegistry, came: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upload, "CHUNK", 300_000)
    uploads.begin_headers = {"OCI-Chunk-Min-Length": "400000"}
    uploads.fail("PATCH upload", Answer(cut=came))
    place = destination(http, uploads)
    with pytest.raises(Temporary):
        place.put_blob(PROMISE, chunks())
    place.put_blob(PROMISE, chunks())
    assert uploads.blobs["a/b"] == {str(DIGEST): BLOB}
    first, *rest = uploads.called("PATCH upload")
    assert len(first.body) == came
    assert sum(len(call.body) for call in rest) == len(BLOB) - came, "nothing is sent twice"
    assert all(len(call.body) == 400_000 for call in rest[:-1])
    assert not uploads.cancelled


def test_a_chunk_that_broke_off(http: Http, uploads: UploadRegistry) -> None:
    uploads.fail("PATCH upload", Answer(cut=500_000), Answer(cut=7), Answer(status=503))
    waits: list[float] = []
    place = destination(http, uploads, waits=waits)
    with pytest.raises(Temporary):
        place.put_blob(PROMISE, chunks())
    place.put_blob(PROMISE, chunks())
    assert uploads.blobs["a/b"] == {str(DIGEST): BLOB}
    assert waits == [1, 2]
    ranges = [call.headers["Content-Range"] for call in uploads.called("PATCH upload")[1:]]
    end = len(BLOB) - 1
    assert ranges == [f"500000-{end}", f"500007-{end}", f"500007-{end}"]


@pytest.mark.parametrize(
    "gone",
    [
        Answer(status=404),
        Answer(status=204, headers={"Range": "0-0"}),
        Answer(status=204),
        Answer(status=204, headers={"Range": "bytes=5-9"}),
        Answer(status=200, headers={"Range": "0-99"}),
    ],
)
def test_beginning_anew(http: Http, uploads: UploadRegistry, gone: Answer) -> None:
    uploads.fail("PATCH upload", Answer(cut=1000))
    uploads.fail("GET upload", gone)
    place = destination(http, uploads)
    with pytest.raises(Temporary):
        place.put_blob(PROMISE, chunks())
    place.put_blob(PROMISE, chunks())
    assert uploads.blobs["a/b"] == {str(DIGEST): BLOB}
    assert uploads.cancelled == ["0/a/b"]


def test_lost_at_the_end(http: Http, uploads: UploadRegistry) -> None:
    uploads.fail("PUT upload", Answer(status=404))
    place = destination(http, uploads)
    with pytest.raises(Temporary):
        place.put_blob(PROMISE, chunks())
    place.put_blob(PROMISE, chunks())
    assert uploads.blobs["a/b"] == {str(DIGEST): BLOB}
    assert len(uploads.called("POST begin")) == 2


def test_a_registry_that_changes_its_mind(http: Http, uploads: UploadRegistry) -> None:
    """It says how far it came, and then takes no rest: the next attempt begins anew."""
    uploads.fail("PATCH upload", Answer(cut=1000), *[Answer(status=416)] * 4)
    place = destination(http, uploads)
    for _ in range(2):
        with pytest.raises(Temporary):
            place.put_blob(PROMISE, chunks())
    place.put_blob(PROMISE, chunks())
    assert uploads.blobs["a/b"] == {str(DIGEST): BLOB}
    assert len(uploads.called("POST begin")) == 2


def test_asked_again_in_the_middle(http: Http, uploads: UploadRegistry) -> None:
    """A 401 to the stream itself: it is not sent again, but the next attempt knows the password."""
    uploads.fail("PATCH upload", Answer(status=401, headers=BASIC))
    place = destination(http, uploads, creds="me:secret")
    with pytest.raises(Temporary, match="who we are"):
        place.put_blob(PROMISE, chunks())
    place.put_blob(PROMISE, chunks())
    assert uploads.blobs["a/b"] == {str(DIGEST): BLOB}
    assert "Authorization" in uploads.called("PATCH upload")[-1].headers
