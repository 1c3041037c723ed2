# SPDX-License-Identifier: LGPL-2.1-or-later
"""Keys of gpg take a while to make: once for all tests, which only sign with them."""

from collections.abc import Iterator

import pytest

from tests.conformance.copying import Signer
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
