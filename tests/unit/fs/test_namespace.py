# SPDX-License-Identifier: LGPL-2.1-or-later
"""Whether something is done here, or in a process that has joined the first namespace."""

import os

import pytest

from atomic_sys.errors import AtomicSysError
from atomic_sys.fs import namespace
from atomic_sys.fs.namespace import in_first


def test_where_we_are_already_it_is_done_here() -> None:
    assert in_first(os.getpid) == os.getpid()


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """As in a service with mounts of its own; nothing is really joined."""
    monkeypatch.setattr(namespace, "_is_first", lambda: False)
    monkeypatch.setattr(namespace, "_has_our_root", lambda: True)
    monkeypatch.setattr(namespace, "_join", lambda: None)
    return monkeypatch


def test_elsewhere_a_process_does_it(elsewhere: pytest.MonkeyPatch) -> None:
    del elsewhere
    assert in_first(os.getpid) != os.getpid()

    def fail() -> None:
        raise AtomicSysError("no")

    with pytest.raises(AtomicSysError, match="no"):
        in_first(fail)


def test_who_may_not_join_does_it_here(elsewhere: pytest.MonkeyPatch) -> None:
    def refuse() -> None:
        raise PermissionError

    elsewhere.setattr(namespace, "_join", refuse)
    assert in_first(os.getpid) == os.getpid()


def test_another_root_has_other_paths(elsewhere: pytest.MonkeyPatch) -> None:
    elsewhere.setattr(namespace, "_has_our_root", lambda: False)
    assert in_first(os.getpid) == os.getpid()
