# SPDX-License-Identifier: LGPL-2.1-or-later
"""What several tests of this room need: a network door, a lying registry, a certificate."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from atomic_sys.image.http import Http
from tests.support.fake_registry import FakeRegistry, make_certificate
from tests.support.upload_registry import UploadRegistry


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")


@pytest.fixture
def http() -> Iterator[Http]:
    with Http() as door:
        yield door


@pytest.fixture
def registry() -> Iterator[FakeRegistry]:
    with FakeRegistry() as server:
        yield server


@pytest.fixture
def uploads() -> Iterator[UploadRegistry]:
    with UploadRegistry() as server:
        yield server


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_certificate(tmp_path_factory.mktemp("tls") / "both.pem")


@pytest.fixture
def secure_registry(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeRegistry]:
    """A registry by https, whose certificate the system trusts."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate.with_suffix(".crt")))
    with FakeRegistry(certificate) as server:
        yield server
