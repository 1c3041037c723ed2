# SPDX-License-Identifier: LGPL-2.1-or-later
"""A store that needs no root: of mode `bare-user`."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from atomic_sys.store.repository import Mode, Repository
from atomic_sys.store.store import Store


@pytest.fixture
def here(tmp_path: Path) -> Iterator[int]:
    fd = os.open(tmp_path, os.O_RDONLY)
    yield fd
    os.close(fd)


@pytest.fixture
def store(here: int) -> Iterator[Store]:
    opened = Store(Repository.create(here, "repo", Mode.BARE_USER), timeout=0)
    yield opened
    opened.close()
