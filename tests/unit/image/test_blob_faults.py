# SPDX-License-Identifier: LGPL-2.1-or-later
"""Connections that break, fall silent or lie in the middle of a blob; what is fetched then."""

import gzip
from collections.abc import Callable, Iterator, Mapping
from itertools import chain

import pytest
from urllib3.exceptions import ReadTimeoutError

from atomic_sys.image import http as http_module
from atomic_sys.image.blob import MIN_PROGRESS
from atomic_sys.image.http import Http
from atomic_sys.image.http_response import CHUNK, ConnectionBroke, NetworkError
from atomic_sys.image.registries_conf import Registries
from atomic_sys.image.registry import RegistryOrigin
from atomic_sys.image.retry import Patience
from atomic_sys.model.digest import Digest
from atomic_sys.model.manifest import Descriptor
from atomic_sys.model.reference import ImageName
from atomic_sys.model.source import RegistrySource
from atomic_sys.model.stream import ContentMismatch
from tests.support.fake_registry import FakeRegistry, Reply

BLOB = bytes(range(256)) * (3 * MIN_PROGRESS // 256)
END = len(BLOB)
LAYER = Descriptor(media_type="x", digest=Digest.of(BLOB), size=END, annotations={})
PATH = f"/v2/a/b/blobs/{LAYER.digest}"
Serve = Callable[[Mapping[str, str]], Reply]


def origin(http: Http, registry: FakeRegistry, waited: list[float] | None = None) -> RegistryOrigin:
    registry.replies["/v2/"] = Reply()
    source = RegistrySource(name=ImageName.parse(f"{registry.host}/a/b:1"), plain_http=True)
    sleep = (lambda _: None) if waited is None else waited.append
    return RegistryOrigin(http, source, Registries(), None, Patience(sleep=sleep))


def start_of(headers: Mapping[str, str]) -> int:
    return int(headers.get("Range", "bytes=0-").removeprefix("bytes=").removesuffix("-"))


def honest(headers: Mapping[str, str], end: int = END, **over: float) -> Reply:
    """The blob from where it is wanted, up to `end`, whatever the headers promise."""
    start = start_of(headers)
    return Reply(
        status=206 if "Range" in headers else 200,
        headers={"Content-Range": f"bytes {start}-{END - 1}/{END}"} if start else {},
        body=BLOB[start:end],
        length=END - start,
        stall=over.get("stall", 0),
    )


def first(*replies: Callable[[Mapping[str, str]], Reply]) -> Serve:
    """These answers in turn, then honest ones."""
    left: Iterator[Serve] = chain(replies, iter(lambda: honest, None))
    return lambda headers: next(left)(headers)


@pytest.mark.parametrize(
    "offset",
    [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, END // 2, END - 1],
    ids=["nothing", "one byte", "before a chunk", "chunk", "after a chunk", "half", "last byte"],
)
def test_a_cut_costs_no_byte(http: Http, registry: FakeRegistry, offset: int) -> None:
    registry.replies[PATH] = first(lambda headers: honest(headers, offset))
    assert b"".join(origin(http, registry).blob(LAYER)) == BLOB
    ranges = [headers.get("Range") for headers in registry.asked(PATH)]
    assert ranges == [None, f"bytes={offset}-" if offset else None]


def test_a_cut_after_the_last_byte_is_none(http: Http, registry: FakeRegistry) -> None:
    """The server promises a byte more and dies: what came is the blob, or is not."""
    registry.replies[PATH] = Reply(body=BLOB, length=END + 1)
    with pytest.raises(ConnectionBroke):
        b"".join(origin(http, registry).blob(LAYER))
    assert len(registry.asked(PATH)) == 1, "there is no rest to ask for"


def test_twenty_cuts(http: Http, registry: FakeRegistry) -> None:
    """With progress between them; each byte is asked for once, and in order."""
    size = 21 * MIN_PROGRESS
    content = bytes(size - 5) + b"12345"
    layer = Descriptor(media_type="x", digest=Digest.of(content), size=size, annotations={})
    sent: list[tuple[int, int]] = []

    def serve(headers: Mapping[str, str]) -> Reply:
        start = start_of(headers)
        end = start + MIN_PROGRESS
        sent.append((start, end))
        said = {"Content-Range": f"bytes {start}-{size - 1}/{size}"} if start else {}
        status = 206 if start else 200
        return Reply(status=status, headers=said, body=content[start:end], length=size - start)

    registry.replies[f"/v2/a/b/blobs/{layer.digest}"] = serve
    assert b"".join(origin(http, registry).blob(layer)) == content
    assert sent == [(MIN_PROGRESS * n, MIN_PROGRESS * (n + 1)) for n in range(21)]


def test_silence_is_a_cut(
    http: Http, registry: FakeRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_module, "READ_TIMEOUT", 0.2)
    registry.replies[PATH] = first(lambda headers: honest(headers, END // 2, stall=30))
    assert b"".join(origin(http, registry).blob(LAYER)) == BLOB
    assert registry.asked(PATH)[1]["Range"] == f"bytes={END // 2}-"
    registry.replies[PATH] = lambda headers: honest(headers, 5000, stall=30)
    with pytest.raises(ConnectionBroke) as caught:
        b"".join(origin(http, registry).blob(LAYER))
    assert isinstance(caught.value.__cause__, ReadTimeoutError)


@pytest.mark.parametrize(
    ("headers", "waits"),
    [
        ({}, [1.0]),
        ({"Retry-After": "7"}, [7.0]),
        ({"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}, [0.0]),
        ({"Retry-After": "nonsense"}, [1.0]),
    ],
)
def test_a_registry_that_is_down_in_the_middle(
    http: Http, registry: FakeRegistry, headers: dict[str, str], waits: list[float]
) -> None:
    registry.replies[PATH] = first(
        lambda asked: honest(asked, END // 2), lambda _: Reply(status=503, headers=headers)
    )
    waited: list[float] = []
    assert b"".join(origin(http, registry, waited).blob(LAYER)) == BLOB
    assert waited == waits
    assert [asked.get("Range") for asked in registry.asked(PATH)] == [
        None, f"bytes={END // 2}-", f"bytes={END // 2}-",
    ]  # fmt: skip


def test_a_token_that_ends_in_the_middle(http: Http, registry: FakeRegistry) -> None:
    valid = ["one"]

    def guarded(headers: Mapping[str, str]) -> Reply:
        if headers.get("Authorization") != f"Bearer {valid[0]}":
            challenge = f'Bearer realm="{registry.url}/token",service="s"'
            return Reply(status=401, headers={"WWW-Authenticate": challenge})
        if valid[0] == "two":
            return honest(headers)
        valid[0] = "two"
        return honest(headers, END // 2)

    registry.replies[PATH] = guarded
    registry.replies["/token"] = lambda _: Reply(body=b'{"token":"%s"}' % valid[0].encode())
    assert b"".join(origin(http, registry).blob(LAYER)) == BLOB
    assert len(registry.asked("/token")) == 2
    assert registry.asked(PATH)[-1]["Range"] == f"bytes={END // 2}-"


def test_the_rest_comes_from_where_the_registry_sends_us(
    http: Http, registry: FakeRegistry
) -> None:
    """Each request is redirected anew: addresses of storage are good for a short time."""
    with FakeRegistry() as storage:
        addresses = iter(["/first", "/second"])
        storage.replies["/first"] = lambda headers: honest(headers, END // 2)
        storage.replies["/second"] = honest
        registry.replies[PATH] = lambda _: Reply(
            status=307, headers={"Location": f"{storage.url}{next(addresses)}"}
        )
        assert b"".join(origin(http, registry).blob(LAYER)) == BLOB
        assert storage.asked("/second")[0]["Range"] == f"bytes={END // 2}-"


def test_what_is_called_compressed(http: Http, registry: FakeRegistry) -> None:
    """The bytes on the wire count: some storage calls a packed layer a compressed answer."""
    said = {"Content-Encoding": "gzip"}
    registry.replies[PATH] = Reply(body=BLOB, headers=said)
    assert b"".join(origin(http, registry).blob(LAYER)) == BLOB
    assert registry.asked(PATH)[0]["Accept-Encoding"] == "identity"
    registry.replies[PATH] = Reply(body=gzip.compress(BLOB), headers=said)
    with pytest.raises(ContentMismatch):
        b"".join(origin(http, registry).blob(LAYER))


def test_another_rest_than_the_first_part(http: Http, registry: FakeRegistry) -> None:
    """One hash over all parts: a rest of another blob is found out."""
    other = BLOB[:-1] + b"x"

    def lying(headers: Mapping[str, str]) -> Reply:
        rest = honest(headers)
        return Reply(status=206, headers=rest.headers, body=other[start_of(headers) :])

    registry.replies[PATH] = first(lambda headers: honest(headers, END // 2), lying)
    with pytest.raises(ContentMismatch):
        b"".join(origin(http, registry).blob(LAYER))


def test_a_rest_without_end(http: Http, registry: FakeRegistry) -> None:
    def endless(headers: Mapping[str, str]) -> Reply:
        rest = honest(headers)
        return Reply(status=206, headers=rest.headers, body=rest.body, endless=True)

    registry.replies[PATH] = first(lambda headers: honest(headers, END // 2), endless)
    with pytest.raises((ContentMismatch, NetworkError)):
        b"".join(origin(http, registry).blob(LAYER))
    assert registry.hung_up.wait(5)
