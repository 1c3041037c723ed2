# SPDX-License-Identifier: LGPL-2.1-or-later
"""What modules share: keys of gpg, which take a while to make, roots and stores."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from atomic_sys.store.store import Store
from tests.conformance.copying import Signer
from tests.conformance.offline import Atomic, make_root
from tests.support import images
from tests.support.gpg import Gpg, new_home, revoke, users


@pytest.fixture(scope="session")
def gpg() -> Iterator[Gpg]:
    """Keys of every kind."""
    with users() as user:
        yield user


@pytest.fixture(scope="session")
def revoked(gpg: Gpg) -> tuple[bytes, bytes]:
    """A good signature, and the key that was revoked afterwards."""
    return revoke(gpg)


@pytest.fixture(scope="session")
def signer() -> Iterator[Signer]:
    """One key."""
    with new_home() as home:
        made = Signer(home)
        made.make()
        yield made


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The root directory of a host without systemd."""
    return make_root(tmp_path / "root", monkeypatch)


@pytest.fixture
def atomic(root: Path, capsys: pytest.CaptureFixture[str]) -> Atomic:
    """The command on that root."""
    return Atomic(root=root, capsys=capsys)


@pytest.fixture
def hello(tmp_path: Path) -> str:
    """The argument that names the image."""
    return f"oci:{images.layout(tmp_path / 'hello')}"


@pytest.fixture
def scratch() -> Iterator[Path]:
    """A directory on tmpfs: quick, and the same on all machines."""
    with tempfile.TemporaryDirectory(dir="/dev/shm", prefix="store-test.") as path:
        yield Path(path)


@pytest.fixture
def store(scratch: Path) -> Iterator[Store]:
    """An empty store there."""
    fd = os.open(scratch, os.O_RDONLY)
    opened = Store.create(fd, "repo", timeout=0)
    yield opened
    opened.close()
    os.close(fd)
