# SPDX-License-Identifier: LGPL-2.1-or-later
"""certs.d: what is found, and what a server gets to see of it."""

import shutil
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from atomic_sys.image.certificates import Certificates, find
from atomic_sys.image.http import ConnectionFailed, Http, Request
from atomic_sys.image.http_response import NetworkError
from atomic_sys.image.tls import Tls
from tests.support.fake_registry import FakeRegistry, Reply, make_certificate


def test_first_directory_that_has_the_host(tmp_path: Path) -> None:
    for name in ("a/other:5000", "b/h:5000", "c/h:5000", "c/docker.io"):
        (tmp_path / name).mkdir(parents=True)
    for name in ("2.crt", "1.crt", "me.cert", "me.key", "README"):
        (tmp_path / "b/h:5000" / name).touch()
    (tmp_path / "c/h:5000/3.crt").touch()
    (tmp_path / "c/docker.io/hub.crt").touch()
    directories = [str(tmp_path / name) for name in ("none", "a", "b", "c")]
    here = tmp_path / "b/h:5000"
    assert find(directories, "h:5000") == Certificates(
        authorities=(str(here / "1.crt"), str(here / "2.crt")),
        clients=((str(here / "me.cert"), str(here / "me.key")),),
    )
    assert find(directories, "h") == find(directories, "..") == Certificates()
    assert find(directories, "registry-1.docker.io").authorities


@pytest.mark.parametrize("name", ["me.cert", "me.key"])
def test_a_certificate_needs_its_key(tmp_path: Path, name: str) -> None:
    (tmp_path / "h").mkdir()
    (tmp_path / "h" / name).touch()
    with pytest.raises(NetworkError, match=rf"{name} without me\."):
        find([str(tmp_path)], "h")


@pytest.fixture
def demanding(certificate: Path) -> Iterator[FakeRegistry]:
    """A registry that nobody trusts by default and that wants its clients to have a certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(certificate.with_suffix(".crt"))
    with FakeRegistry(context=context) as server:
        server.replies["/a"] = Reply(body=b"x")
        yield server


def door(directory: Path) -> Http:
    return Http(lambda host: find([str(directory)], host))


def test_both_ways(tmp_path: Path, certificate: Path, demanding: FakeRegistry) -> None:
    directory = tmp_path / demanding.host
    directory.mkdir()
    shutil.copy(certificate.with_suffix(".crt"), directory / "ca.crt")
    url = f"{demanding.url}/a"
    with Http() as http, pytest.raises(ConnectionFailed, match="certificate"):
        http.get_document(url, 5)
    with (
        door(tmp_path) as http,
        pytest.raises(NetworkError),
    ):  # it trusts the server, and is not trusted
        http.get_document(url, 5)
    for name in ("me.cert", "me.key"):
        shutil.copy(certificate, directory / name)
    with door(tmp_path) as http:
        assert http.get_document(url, 5) == b"x"
        with http.send(Request(url=url, tls=Tls.UNVERIFIED)) as response:
            assert response.read(5, "it") == b"x"
    (directory / "ca.crt").unlink()
    with door(tmp_path) as http, pytest.raises(ConnectionFailed, match="certificate"):
        http.get_document(url, 5)


def test_another_certificate_does_not_help(
    tmp_path: Path, certificate: Path, secure_registry: FakeRegistry
) -> None:
    directory = tmp_path / secure_registry.host
    directory.mkdir()
    (directory / "ca.crt").write_text("none")
    with door(tmp_path) as http, pytest.raises(NetworkError, match=r"cannot use .*ca\.crt"):
        http.get_document(f"{secure_registry.url}/a", 5)
    make_certificate(directory / "other.pem")
    (directory / "ca.crt").unlink()
    with door(tmp_path) as http:
        assert http.get_document(f"{secure_registry.url}/a", 5) is None, "the system's stay"


def test_the_name_of_the_host_is_matched(
    tmp_path: Path,
    certificate: Path,
    secure_registry: FakeRegistry,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("no_proxy", "localhost")
    host = secure_registry.host.replace("127.0.0.1", "localhost")
    (tmp_path / host).mkdir()
    shutil.copy(certificate.with_suffix(".crt"), tmp_path / host / "ca.crt")
    with door(tmp_path) as http, pytest.raises(ConnectionFailed, match=r"match"):
        http.get_document(f"https://{host}/a", 5)
