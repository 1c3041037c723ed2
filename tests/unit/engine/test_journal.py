# SPDX-License-Identifier: LGPL-2.1-or-later
"""A journal: read as it was written, whatever its last line looks like, and never half-believed."""

import errno
import os
import typing
from pathlib import Path

import pytest

from atomic_sys.engine import journal as journal_module
from atomic_sys.engine import journal_format
from atomic_sys.engine.journal import names
from atomic_sys.engine.journal_format import (
    Entry,
    Header,
    InvalidJournal,
    Recorded,
    When,
    decode,
    encode_entry,
    encode_header,
    steps_back,
)
from atomic_sys.engine.operations import (
    Disable,
    Reenable,
    Reload,
    RemoveEmptyDirectory,
    RemoveFile,
    RemoveTmpfiles,
    RemoveTree,
    Stop,
    SwapLink,
)
from atomic_sys.engine.undo import (
    Removal,
    RemoveCreated,
    RemoveLink,
    RestoreFile,
    StartAgain,
    Undo,
)
from tests.unit.engine.hosts import journal_of, make_root

UNDO: tuple[Undo, ...] = (
    RemoveFile(path="/etc/a", sha256="0" * 64),
    RemoveEmptyDirectory(path="/etc/d"),
    RemoveTree(directory="/srv", name="etcd.0"),
    RemoveLink(directory="/srv", name="etcd", target="/srv/etcd.0"),
    RemoveCreated(path="/run/\nétcd"),
    RestoreFile(path="/etc/b", backup="1", mode=0o600, uid=1, gid=2),
    RestoreFile(path="/etc/l", target="/etc/b"),
    SwapLink(directory="/srv", name="etcd", target="/srv/etcd.0"),
    Disable(unit="etcd.service"),
    Reenable(unit="etcd.service"),
    Stop(unit="etcd.service", container="etcd", runtime="/usr/bin/runc"),
    Reload(),
    StartAgain(units=("etcd.service", "docker.service")),
)
FINISH: tuple[Removal, ...] = (
    Stop(unit="etcd.service", container="etcd", runtime=""),
    RemoveTmpfiles(path="/etc/tmpfiles.d/etcd.conf"),
    RemoveFile(path="/etc/a"),
)
HEADER = Header(what="install", say="Rolling back")


def test_all_kinds_come_back_as_they_were() -> None:
    assert {type(step) for step in UNDO} == set(typing.get_args(Undo))
    entries = tuple(Entry(undo=step) for step in UNDO)
    document = encode_header(Header(what="uninstall", finish=FINISH))
    document += b"".join(map(encode_entry, entries))
    assert decode(document) == Recorded(
        header=Header(what="uninstall", finish=FINISH), entries=entries
    )
    assert all(step.describe() for step in UNDO)


@pytest.mark.parametrize("length", range(1, len(encode_entry(Entry(undo=UNDO[0])))))
def test_a_torn_last_line_is_a_deed_that_never_began(length: int) -> None:
    whole = encode_header(HEADER) + encode_entry(Entry(undo=UNDO[1]))
    torn = whole + encode_entry(Entry(undo=UNDO[0]))[:length]
    assert decode(torn) == decode(whole)


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"{",
        b"\n",
        b"[]\n",
        b'{"version": 2, "what": "install", "finish": []}\n',
        b'{"version": 1, "finish": []}\n',
        b'{"version": 1, "what": "x", "finish": [{"kind": "SwapLink"}]}\n',
        encode_header(HEADER) + b"\0\0\0\n" + encode_entry(Entry(undo=UNDO[0])),
        encode_header(HEADER) + b'{"undo": {"kind": "Explode"}}\n',
        encode_header(HEADER) + b'{"undo": {"kind": "Reload", "more": 1}}\n',
        encode_header(HEADER) + b'{"never": {"kind": "Reload"}}\n',
        encode_header(HEADER) + b'{"undo": {"kind": "Reload"}, "last": {"kind": "Reload"}}\n',
        encode_header(HEADER) + b'{"undo": {"kind": "Disable", "unit": 1}}\n',
        encode_header(HEADER) + b'{"undo": {"kind": "StartAgain", "units": "etcd"}}\n',
        encode_header(HEADER) + b'{"undo": {"kind": "RemoveTmpfiles", "path": "/a"}}\n',
        encode_entry(Entry(undo=UNDO[0])),
    ],
)
def test_a_damaged_journal_is_refused(document: bytes) -> None:
    with pytest.raises(InvalidJournal):
        decode(document)


def test_the_last_deed_is_taken_back_first_and_what_follows_last() -> None:
    first, second = RemoveFile(path="/1"), RemoveFile(path="/2")
    last = StartAgain(units=("etcd.service",))
    entries = (
        Entry(undo=first),
        Entry(undo=Reload(), when=When.LAST),
        Entry(undo=second),
        Entry(undo=last, when=When.LAST),
        Entry(undo=Reload(), when=When.LAST),
    )
    assert steps_back(entries) == (second, first, Reload(), last)


def test_a_journal_is_there_from_its_beginning_to_its_end(tmp_path: Path) -> None:
    root = make_root(tmp_path)
    (root / "etc/secret").write_bytes(b"x" * 100_000)
    (root / "etc/secret").chmod(0o640)
    (root / "etc/link").symlink_to("secret")
    fd, etc = os.open(root, os.O_RDONLY), os.open(root / "etc", os.O_RDONLY)
    secret = os.open(root / "etc/secret", os.O_RDONLY)
    try:
        journal = journal_of(fd)
        assert journal.read() is None
        journal.begin(HEADER)
        assert names(fd, "/var/lib/containers/atomic") == ("etcd",)
        journal.append(Entry(undo=UNDO[0]))
        backup = journal.back_up(etc, "secret")
        assert (backup.mode, backup.copy, backup.target) == (0o640, "1", None)
        with journal.backup("1") as kept:  # the very file, which takes no room
            assert os.path.sameopenfile(kept, secret)
        assert journal.back_up(etc, "link").target == "secret"
        again = journal_of(fd)
        assert again.read() == Recorded(header=HEADER, entries=(Entry(undo=UNDO[0]),))
        journal.end()
        assert names(fd, "/var/lib/containers/atomic") == ()
        assert names(fd, "/none") == ()
        assert again.read() is None
        again.begin(HEADER)
        again.end()
    finally:
        for opened in (fd, etc, secret):
            os.close(opened)


def test_what_cannot_be_linked_is_copied_for_root_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = make_root(tmp_path)
    (root / "etc/secret").write_bytes(b"x" * 100_000)

    def refused(*_: object, **__: object) -> None:
        raise PermissionError("no hard links here")

    monkeypatch.setattr(os, "link", refused)
    fd, etc = os.open(root, os.O_RDONLY), os.open(root / "etc", os.O_RDONLY)
    try:
        journal = journal_of(fd)
        journal.begin(HEADER)
        assert journal.back_up(etc, "secret").copy == "1"
        with journal.backup("1") as copy:
            assert os.fstat(copy).st_mode & 0o777 == 0o600
            assert os.read(copy, 200_000) == b"x" * 100_000
        journal.close()
    finally:
        os.close(fd)
        os.close(etc)


def test_a_journal_that_cannot_be_written_has_not_begun(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = make_root(tmp_path)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(journal_module, "write_file", full)
    fd = os.open(root, os.O_RDONLY)
    try:
        with pytest.raises(OSError, match="No space left"):
            journal_of(fd).begin(HEADER)
        assert names(fd, "/var/lib/containers/atomic") == ()
    finally:
        os.close(fd)


def test_a_damaged_journal_says_what_to_do(tmp_path: Path) -> None:
    root = make_root(tmp_path)
    directory = root / "var/lib/containers/atomic/.journal/etcd"
    directory.mkdir()
    (directory / "log").write_text("?\n")
    fd = os.open(root, os.O_RDONLY)
    try:
        with pytest.raises(InvalidJournal, match="is damaged") as caught:
            journal_of(fd).read()
    finally:
        os.close(fd)
    assert str(caught.value.hint).endswith("remove /var/lib/containers/atomic/.journal/etcd")


def test_every_step_can_be_recorded() -> None:
    recorded = set(typing.get_args(Undo)) | set(typing.get_args(Removal))
    assert set(journal_format._KINDS.values()) == recorded
