# SPDX-License-Identifier: LGPL-2.1-or-later
"""The door to the network: limits, redirects, TLS, and what becomes of an error body."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from atomic_sys.image.http import MAX_REDIRECTS, ConnectionFailed, Http, Request
from atomic_sys.image.http_response import NetworkError, registry_message
from atomic_sys.image.tls import Tls
from atomic_sys.model.stream import TooLarge
from tests.support.fake_registry import FakeRegistry, Reply


def test_document(http: Http, registry: FakeRegistry) -> None:
    registry.replies["/a"] = Reply(body=b"12345")
    assert http.get_document(f"{registry.url}/a", 5) == b"12345"
    assert http.get_document(f"{registry.url}/b", 5) is None
    headers = registry.asked("/a")[0]
    assert headers["Accept-Encoding"] == "identity"
    assert headers["User-Agent"].startswith("atomic-sys/")


@pytest.mark.parametrize(
    ("reply", "message"),
    [
        (Reply(status=403), "status 403"),
        (Reply(status=500, body=b"<html>oh</html>"), "status 500$"),
        (Reply(status=204), "status 204"),
        (Reply(status=500, body=b"x" * (2 << 20)), "status 500$"),
        (
            Reply(status=429, body=b'{"errors":[{"code":"TOO\\nMANY","message":"slow  down"}]}'),
            "status 429: TOO MANY: slow down$",
        ),
        (Reply(body=b"123", length=4), "ended after 3 of 4|broke after"),
        (Reply(body=b"123", headers={"Content-Encoding": "gzip"}), "compressed"),
    ],
)
def test_bad_answers(http: Http, registry: FakeRegistry, reply: Reply, message: str) -> None:
    registry.replies["/a"] = reply
    with pytest.raises(NetworkError, match=message):
        http.get_document(f"{registry.url}/a", 1000)


@pytest.mark.parametrize("reply", [Reply(body=b"123456"), Reply(body=b"x" * 999, endless=True)])
def test_limit(http: Http, registry: FakeRegistry, reply: Reply) -> None:
    registry.replies["/a"] = reply
    with pytest.raises(TooLarge, match="limit of 5 bytes"):
        http.get_document(f"{registry.url}/a", 5)


@pytest.mark.parametrize(
    "url", ["file:///etc/passwd", "ftp://h/x", "//h/x", "http://", "http://[::1", "http://h:x/"]
)
def test_other_urls(http: Http, url: str) -> None:
    with pytest.raises(NetworkError, match="URL"):
        http.get_document(url, 5)


def test_nobody_there(http: Http, registry: FakeRegistry) -> None:
    with FakeRegistry() as gone:
        url = gone.url
    with pytest.raises(ConnectionFailed, match=f"cannot reach {url}: .*refused"):
        http.get_document(f"{url}/a?secret=1", 5)


def test_redirects_end(http: Http, registry: FakeRegistry) -> None:
    for i in range(MAX_REDIRECTS + 1):
        registry.replies[f"/{i}"] = Reply(status=307, headers={"Location": f"/{i + 1}"})
    registry.replies[f"/{MAX_REDIRECTS + 1}"] = Reply(body=b"x")
    assert http.get_document(f"{registry.url}/1", 5) == b"x"
    with pytest.raises(NetworkError, match="redirects"):
        http.get_document(f"{registry.url}/0", 5)


@pytest.mark.parametrize(
    ("location", "message"), [("file:///etc/passwd", "not an http"), ("", "to nowhere")]
)
def test_bad_redirects(http: Http, registry: FakeRegistry, location: str, message: str) -> None:
    registry.replies["/a"] = Reply(status=302, headers={"Location": location})
    with pytest.raises(NetworkError, match=message):
        http.get_document(f"{registry.url}/a", 5)


def test_authorization_stays_with_its_host(http: Http, registry: FakeRegistry) -> None:
    with FakeRegistry() as other:
        registry.replies["/a"] = Reply(status=302, headers={"Location": "/b"})
        registry.replies["/b"] = Reply(status=302, headers={"Location": f"{other.url}/c"})
        other.replies["/c"] = Reply(body=b"x")
        request = Request(url=f"{registry.url}/a", headers={"Authorization": "Bearer t"})
        with http.send(request) as response:
            assert response.read(9, "it") == b"x"
        assert registry.asked("/b")[0]["Authorization"] == "Bearer t"
        assert "Authorization" not in other.asked("/c")[0]


def test_netrc_is_not_used(
    http: Http, registry: FakeRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password secret\n")
    monkeypatch.setenv("NETRC", str(netrc))
    registry.replies["/a"] = Reply(headers={"Set-Cookie": "a=b"})
    http.get_document(f"{registry.url}/a", 5)
    http.get_document(f"{registry.url}/a", 5)
    assert all(
        "Authorization" not in headers and "Cookie" not in headers
        for headers in registry.asked("/a")
    )


def test_https(
    secure_registry: FakeRegistry, registry: FakeRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    secure_registry.replies["/a"] = Reply(body=b"x")
    secure_registry.replies["/b"] = Reply(status=302, headers={"Location": f"{registry.url}/c"})
    registry.replies["/c"] = Reply(body=b"x")
    with Http() as http:
        assert http.get_document(f"{secure_registry.url}/a", 5) == b"x"
        with pytest.raises(NetworkError, match="refusing to leave https"):
            http.get_document(f"{secure_registry.url}/b", 5)
    assert not registry.requests
    monkeypatch.delenv("SSL_CERT_FILE")
    url = f"{secure_registry.url}/a"
    with Http() as http:
        # An unverified connection first: it must not be kept for a verified request.
        with http.send(Request(url=url, tls=Tls.UNVERIFIED)) as response:
            assert response.read(5, "it") == b"x"
        with pytest.raises(ConnectionFailed, match="certificate"):
            http.get_document(url, 5)


def test_threads(http: Http, registry: FakeRegistry) -> None:
    for i in range(20):
        registry.replies[f"/{i}"] = Reply(body=str(i).encode() * 100_000)
    with ThreadPoolExecutor(8) as pool:
        bodies = pool.map(lambda i: http.get_document(f"{registry.url}/{i}", 1 << 20), range(20))
    assert list(bodies) == [str(i).encode() * 100_000 for i in range(20)]


def test_connections_are_kept(registry: FakeRegistry) -> None:
    registry.replies["/a"] = Reply(body=b"x")
    registry.keep_alive = True
    with Http() as http:
        for _ in range(5):
            with ThreadPoolExecutor(1) as pool:  # a thread of its own for each
                assert pool.submit(http.get_document, f"{registry.url}/a", 5).result() == b"x"
    assert registry.connections == 1


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", ""),
        (b"[1]", ""),
        (b'{"errors": 1}', ""),
        (b'{"errors": [1]}', ""),
        (b'{"errors": [{"code": 5, "message": null}]}', ""),
        (b"[" * 100_000, ""),
        (b'{"errors": [{"code": "A"}, {"message": "b\\u0000"}]}', "A; b\0"),
    ],
)
def test_registry_message(body: bytes, message: str) -> None:
    assert registry_message(body) == message


def test_registry_message_is_short() -> None:
    body = json.dumps({"errors": [{"code": "A", "message": "x" * 5000}] * 100}).encode()
    assert len(registry_message(body)) < 400


def test_a_redirect_to_no_address(http: Http, registry: FakeRegistry) -> None:
    registry.replies["/a"] = Reply(status=307, headers={"Location": "http://[::1"})
    with pytest.raises(NetworkError, match="sends us to"):
        http.get_document(f"{registry.url}/a", 5)


def test_the_body_of_a_redirect_is_not_read(http: Http, registry: FakeRegistry) -> None:
    """requests reads it whole, also where it is told not to follow."""
    headers = {"Location": f"{registry.url}/b"}
    registry.replies["/a"] = Reply(status=307, headers=headers, body=b"x" * 65536, endless=True)
    registry.replies["/b"] = Reply(body=b"done")
    assert http.get_document(f"{registry.url}/a", 5) == b"done"
