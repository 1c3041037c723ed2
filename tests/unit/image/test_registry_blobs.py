# SPDX-License-Identifier: LGPL-2.1-or-later
"""Blobs of a registry that lies, and connections that break."""

from collections.abc import Callable, Mapping

import pytest

from atomic_sys.image.http import Http
from atomic_sys.image.http_response import NetworkError
from atomic_sys.image.registry import NotInRegistry
from atomic_sys.model.stream import ContentMismatch
from tests.support.fake_registry import FakeRegistry, Reply
from tests.unit.image.origins import BLOB, origin, promise


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
