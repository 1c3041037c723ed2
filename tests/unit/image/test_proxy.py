# SPDX-License-Identifier: LGPL-2.1-or-later
"""The proxies of the environment: used, told no secrets, and not believed."""

import base64
import gc
import shutil
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from atomic_sys.image import certificates
from atomic_sys.image.http import ConnectionFailed, Http, Request
from tests.support.fake_registry import FakeRegistry, Reply
from tests.support.proxy import Proxy

SECRET = {"Authorization": "Bearer secret"}


@pytest.fixture
def proxy(monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    with Proxy() as server:
        yield server


def fetch(http: Http, server: FakeRegistry) -> bytes:
    server.replies["/a"] = Reply(body=b"x")
    with http.send(Request(url=f"{server.url}/a?b=1", headers=SECRET)) as response:
        assert response.status == 200
        return response.read(9, "it")


@pytest.mark.parametrize("name", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY"])
def test_https_is_a_tunnel(
    http: Http,
    secure_registry: FakeRegistry,
    proxy: Proxy,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
) -> None:
    monkeypatch.setenv(name, f"http://me:pass@{proxy.host}")
    assert fetch(http, secure_registry) == b"x"
    ((method, target, headers),) = proxy.requests
    assert (method, target) == ("CONNECT", secure_registry.host)
    assert "Authorization" not in headers, "it is for the registry alone"
    basic = base64.b64encode(b"me:pass").decode()
    assert headers["Proxy-Authorization"] == f"Basic {basic}"
    (asked,) = secure_registry.asked("/a")
    assert asked["Authorization"] == "Bearer secret"
    assert "Proxy-Authorization" not in asked


def test_http_is_asked_of_the_proxy(
    http: Http, registry: FakeRegistry, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", f"http://{proxy.host}")
    assert fetch(http, registry) == b"x"
    assert proxy.targets == [("GET", f"{registry.url}/a?b=1")]


@pytest.mark.parametrize(
    ("exempt", "used"),
    [("127.0.0.1", 0), ("example.com,127.0.0.1", 0), ("127.0.0.0/8", 0), ("*", 0),
     ("example.com", 1), ("", 1)],
)  # fmt: skip
def test_no_proxy(
    http: Http,
    secure_registry: FakeRegistry,
    proxy: Proxy,
    monkeypatch: pytest.MonkeyPatch,
    exempt: str,
    used: int,
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", f"http://{proxy.host}")
    monkeypatch.setenv("NO_PROXY", exempt)
    assert fetch(http, secure_registry) == b"x"
    assert len(proxy.requests) == used


def test_a_proxy_proves_nothing(
    http: Http,
    secure_registry: FakeRegistry,
    proxy: Proxy,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The registry's certificate is checked through the tunnel as it is without one."""
    monkeypatch.delenv("SSL_CERT_FILE")
    monkeypatch.setenv("HTTPS_PROXY", f"http://{proxy.host}")
    with pytest.raises(ConnectionFailed, match="certificate"):
        fetch(http, secure_registry)
    assert proxy.targets == [("CONNECT", secure_registry.host)]
    assert not secure_registry.requests


def test_certificates_of_the_registry_count_behind_a_proxy(
    secure_registry: FakeRegistry,
    certificate: Path,
    proxy: Proxy,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    monkeypatch.setenv("HTTPS_PROXY", f"http://{proxy.host}")
    (tmp_path / secure_registry.host).mkdir()
    shutil.copy(certificate.with_suffix(".crt"), tmp_path / secure_registry.host / "ca.crt")
    with Http(partial(certificates.find, [str(tmp_path)])) as http:
        assert fetch(http, secure_registry) == b"x"
    assert proxy.targets == [("CONNECT", secure_registry.host)]


# Python 3.11 leaves the answer of a proxy that refuses to its garbage collector (gh-103472).
@pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")
@pytest.mark.parametrize("gone", [True, False])
def test_a_proxy_that_does_not_help(
    http: Http,
    secure_registry: FakeRegistry,
    proxy: Proxy,
    monkeypatch: pytest.MonkeyPatch,
    *,
    gone: bool,
) -> None:
    proxy.refuses = True
    monkeypatch.setenv("HTTPS_PROXY", f"http://me:pass@{'127.0.0.1:1' if gone else proxy.host}")
    with pytest.raises(ConnectionFailed) as caught:
        fetch(http, secure_registry)
    message = str(caught.value)
    del caught
    gc.collect()
    assert "proxy" in message.lower()
    assert "pass" not in message
    assert "\n" not in message
    assert not secure_registry.requests
