# SPDX-License-Identifier: LGPL-2.1-or-later
"""The repository on disk: its configuration, its refs, and how it gets over a power cut."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from atomic_sys.errors import AtomicSysError, Damaged
from atomic_sys.fs.atomic import sync_file_system
from atomic_sys.store.locate import choose_repository
from atomic_sys.store.objects import ObjectKind
from atomic_sys.store.recovery import stale_marks
from atomic_sys.store.repository import InvalidRepository, Mode, Repository, valid_ref
from atomic_sys.store.store import Store
from atomic_sys.store.transaction import MARK_SUFFIX, Transaction
from tests.support import layers
from tests.support.layers import file


@pytest.mark.parametrize(
    ("config", "mode"),
    [
        ("[core]\nrepo_version=1\nmode=bare\n", Mode.BARE),
        ("[core]\nrepo_version=1\nmode=bare-user\n", Mode.BARE_USER),
        ('[remote "x"]\nmode=archive\n\n[core]\n# mode=archive\nrepo_version = 1\n', Mode.BARE),
    ],
)
def test_config(here: int, tmp_path: Path, config: str, mode: Mode) -> None:
    Repository.create(here, "repo", Mode.BARE).close()
    (tmp_path / "repo/config").write_text(config)
    repository = Repository.open(here, "repo")
    assert repository.mode is mode
    repository.close()


@pytest.mark.parametrize(
    "config",
    [None, "", "[core]\nrepo_version=2\nmode=bare\n", "[core]\nrepo_version=1\nmode=archive-z2\n"],
)
def test_what_is_no_repository_for_us(here: int, tmp_path: Path, config: str | None) -> None:
    (tmp_path / "repo/objects").mkdir(parents=True)
    if config is not None:
        (tmp_path / "repo/config").write_text(config)
    with pytest.raises(InvalidRepository):
        Repository.open(here, "repo")


def test_create_is_repeatable_and_closed_to_others(here: int, tmp_path: Path) -> None:
    for mode in (Mode.BARE_USER, Mode.BARE):
        repository = Repository.create(here, "repo", mode)
        assert repository.mode is Mode.BARE_USER
        repository.close()
    assert (tmp_path / "repo").stat().st_mode & 0o777 == 0o700


def test_refs(store: Store, tmp_path: Path) -> None:
    repository = store.repository
    with Transaction.open(repository) as transaction:
        transaction.commit([("b/c", bytes(32)), ("a", b"\1" * 32)])
    assert list(repository.refs()) == [("a", b"\1" * 32), ("b/c", bytes(32))]
    assert repository.read_ref("b/c") == bytes(32)
    assert repository.read_ref("b/d") is repository.read_ref("a/x") is None
    assert repository.delete_ref("a")
    assert not repository.delete_ref("a")
    assert not repository.delete_ref("x/y")
    (tmp_path / "repo/refs/heads/bad").write_text("nonsense")
    (tmp_path / "repo/refs/heads/.bad.tmp").write_text("nonsense")
    with pytest.raises(Damaged):
        repository.read_ref("bad")
    with pytest.raises(Damaged):
        list(repository.refs())


@pytest.mark.parametrize("ref", ["", "..", "a/../b", "/a", "a/", "a//b", ".a", "a b", "x" * 256])
def test_invalid_refs(ref: str) -> None:
    with pytest.raises(AtomicSysError):
        valid_ref(ref)


def import_one(store: Store, name: str) -> None:
    members = [file(name, name.encode())]
    store.import_layer(layers.layer_import(members), layers.stream(members))


def content_objects(tmp_path: Path) -> list[Path]:
    return list((tmp_path / "repo/objects").rglob("*.file"))


@pytest.mark.parametrize("boot", ["of this boot", "of another one"])
def test_after_a_power_cut_damaged_objects_are_removed(
    store: Store, tmp_path: Path, boot: str
) -> None:
    import_one(store, "whole")
    import_one(store, "hollow")
    (path,) = [item for item in content_objects(tmp_path) if item.read_bytes() == b"hollow"]
    os.truncate(path, 0)
    current = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    mark = tmp_path / f"repo/state/x{MARK_SUFFIX}"
    mark.write_text(current if boot == "of this boot" else "earlier")
    assert stale_marks(store.repository) == (mark.name,)
    import_one(store, "next")
    assert not mark.exists()
    assert not path.exists()
    import_one(store, "hollow")
    assert path.read_bytes() == b"hollow"


@pytest.mark.parametrize("boot", ["of this boot", "of another one"])
def test_what_looks_whole_is_hashed_only_after_a_power_cut(
    store: Store, tmp_path: Path, boot: str
) -> None:
    import_one(store, "hollow")
    (path,) = content_objects(tmp_path)
    os.truncate(path, 0)
    os.utime(path, (0, 0))  # its inode was written, its bytes were not
    current = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    mark = tmp_path / f"repo/state/x{MARK_SUFFIX}"
    mark.write_text(current if boot == "of this boot" else "earlier")
    import_one(store, "next")
    assert path.exists() == (boot == "of this boot")


def test_an_object_that_was_never_finished_is_not_believed(store: Store, tmp_path: Path) -> None:
    import_one(store, "whole")
    (path,) = content_objects(tmp_path)
    with path.open("r+b") as torn:  # as another import leaves it that is still at work, or dead
        torn.truncate(2)
        import_one(store, "whole")
        assert path.read_bytes() == b"whole"
        assert path.stat().st_mtime == 0
        torn.write(b"late")  # it goes to the file that has lost its name
    assert path.read_bytes() == b"whole"
    assert [item for item in (tmp_path / "repo/tmp").iterdir() if item.is_file()] == []


def test_refs_come_after_the_sync_and_the_sync_after_all_objects(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []

    def recorded(what: str, call: Callable[..., None]) -> Callable[..., None]:
        def record(*arguments: object, **named: object) -> None:
            done.append(what)
            call(*arguments, **named)

        return record

    monkeypatch.setattr(os, "link", recorded("object", os.link))
    monkeypatch.setattr(os, "utime", recorded("object", os.utime))
    monkeypatch.setattr(os, "rename", recorded("ref", os.rename))
    sync = recorded("sync", sync_file_system)
    monkeypatch.setattr("atomic_sys.store.transaction.sync_file_system", sync)
    import_one(store, "one")
    assert done == ["object"] * 4 + ["sync", "ref"]


def test_the_mark_of_a_living_transaction_is_left_alone(store: Store, tmp_path: Path) -> None:
    with Transaction.open(store.repository) as transaction:
        assert stale_marks(store.repository) == ()
        transaction.add_metadata(ObjectKind.DIRTREE, b"\0")
    assert len(stale_marks(store.repository)) == 1
    import_one(store, "next")
    assert stale_marks(store.repository) == ()


def test_without_unnamed_files_it_works_the_same(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os.path, "isdir", lambda _: False)
    import_one(store, "one")
    monkeypatch.undo()
    (path,) = content_objects(tmp_path)
    assert path.read_bytes() == b"one"
    assert path.stat().st_nlink == 1
    assert [item for item in (tmp_path / "repo/tmp").iterdir() if item.is_file()] == []


def choose(top: Path, configured: str | None = None) -> str:
    chosen = choose_repository(
        configured=configured,
        shared=str(top / "ostree/repo"),
        checkouts=str(top / "atomic"),
    )
    return os.path.relpath(chosen, top)


@pytest.mark.parametrize(
    ("configured", "there", "expected"),
    [
        ("/srv/repo", "ostree", "/srv/repo"),
        (None, "ostree", "ostree/repo"),
        (None, "elsewhere", "atomic/.storage/ostree"),
    ],
)
def test_choose(tmp_path: Path, configured: str | None, there: str, expected: str) -> None:
    (tmp_path / "atomic").mkdir()
    (tmp_path / there).mkdir()
    fd = os.open(tmp_path / there, os.O_RDONLY)
    Repository.create(fd, "repo", Mode.BARE).close()
    os.close(fd)
    assert choose(tmp_path, configured) == os.path.relpath(tmp_path / expected, tmp_path)
    assert list((tmp_path / "atomic").iterdir()) == []


def test_choose_wants_a_link_that_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "atomic").mkdir()
    (tmp_path / "ostree/repo").mkdir(parents=True)
    (tmp_path / "ostree/repo/config").write_text("")
    own = "atomic/.storage/ostree"
    assert choose(tmp_path) == own  # there is no tmp/
    (tmp_path / "ostree/repo/tmp").mkdir()

    def link(*_: object, **__: object) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", link)
    assert choose(tmp_path) == own
    assert list((tmp_path / "ostree/repo/tmp").iterdir()) == []
    (tmp_path / "atomic").rmdir()
    with pytest.raises(AtomicSysError, match="no directory"):
        choose(tmp_path)
