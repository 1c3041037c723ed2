# SPDX-License-Identifier: LGPL-2.1-or-later
"""Entries that are stored together: nothing of a layer depends on which of them are."""

import os
from collections.abc import Iterable
from pathlib import Path

import pytest

from atomic_sys.model.layer import Directory, Entry, Metadata, Piece, RegularFile, Symlink, Whiteout
from atomic_sys.model.stream import ContentMismatch
from atomic_sys.store import ingest
from atomic_sys.store.commits import layer_tree
from atomic_sys.store.ingest import _read
from atomic_sys.store.repository import Mode, Repository
from atomic_sys.store.transaction import Transaction

META = Metadata(0, 0, 0o644)
Content = tuple[bytes, ...] | list[bytes]


def entries() -> Iterable[tuple[Entry, Iterable[Piece]]]:
    """All kinds between each other; of equal names the last one holds."""
    for number in range(150):
        content = b"%d" % (number % 40)
        pieces: Content = (content,) if number % 7 else [content]
        yield RegularFile(("d", f"f{number % 90}"), META, len(content)), pieces
        if number % 11 == 0:
            yield Directory((f"d{number}",), META), ()
            yield Symlink(("d", f"f{number % 90}"), META, "target"), ()
            yield RegularFile(("large", f"{number}"), META, 300_000), (bytes(300_000),)
            yield RegularFile(("empty",), META, 0), ()
        if number % 13 == 0:
            yield Whiteout(("gone", f"{number}")), ()


def _repository(path: Path) -> Repository:
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        return Repository.create(fd, "repo", Mode.BARE_USER)
    finally:
        os.close(fd)


@pytest.mark.parametrize("size", [1, 3, 64, 1000])
def test_batches_of_any_size(size: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ingest, "_BATCH", size)
    repository = _repository(tmp_path)
    with Transaction.open(repository) as transaction:
        read = _read(transaction, iter(entries()))
        root, _ = layer_tree(transaction, read.builder.finish())
    assert len(read.contents) == 150 + 2 * 14
    assert read.size == sum(e.size for e, _ in entries() if isinstance(e, RegularFile))
    sizes = [len(b"".join(c)) for e, c in entries() if isinstance(e, RegularFile)]
    for name, wanted in zip(read.contents, sizes, strict=True):
        assert repository.content_info(name).size == wanted
    monkeypatch.setattr(ingest, "_BATCH", 1)
    with Transaction.open(repository) as transaction:
        single = _read(transaction, iter(entries()))
        assert layer_tree(transaction, single.builder.finish())[0] == root
    assert single.contents == read.contents


@pytest.mark.parametrize("content", [(), (b"ab",), (b"abcd",), (b"ab", b"cd")])
def test_a_content_of_another_size(content: tuple[bytes, ...], tmp_path: Path) -> None:
    repository = _repository(tmp_path)
    with Transaction.open(repository) as transaction, pytest.raises(ContentMismatch):
        _read(transaction, iter([(RegularFile(("f",), META, 3), content)]))
