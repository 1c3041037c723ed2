# SPDX-License-Identifier: LGPL-2.1-or-later
"""The journal of a transaction on disk: CHECKOUTS/.journal/NAME/log, and files kept beside it.

Whoever holds the container's lock owns it; one that is there when the lock is taken belongs to a
process that died. It exists from before the first deed until after the last one is on the disk.
"""

import contextlib
import errno
import os
import shutil
import stat
from collections.abc import Iterator

from atomic_sys.engine import journal_format
from atomic_sys.engine.journal_format import Entry, Header, InvalidJournal, Recorded
from atomic_sys.errors import AtomicSysError
from atomic_sys.frozen import frozen
from atomic_sys.fs.atomic import read_file, sync_file_system, write_all, write_file
from atomic_sys.fs.directory import make_directories, open_directory, opened, remove_tree
from atomic_sys.model.names import ContainerName

DIRECTORY = ".journal"  # below the checkouts
_LOG = "log"
_ROOM = ".room"  # after a copy's name: as much again, for putting it back
_BLOCK = 8192  # bytes that a new file takes beside its content
_LIMIT = 16 << 20  # bytes of a log
_MODE = 0o700  # copies of files with secrets may be inside


@frozen
class Backup:
    """A file that was copied: the copy's name in the journal, or a link's target, and the rest."""

    copy: str | None
    target: str | None
    mode: int
    uid: int
    gid: int


class Journal:
    """The journal of one container; use it only while holding the container's lock."""

    def __init__(self, root: int, checkouts: str, name: ContainerName) -> None:
        self._root = root
        self._checkouts = checkouts
        self.name = name
        self.path = f"{checkouts}/{DIRECTORY}/{name}"
        self._log: int | None = None
        self._copies = 0

    def begin(self, header: Header) -> None:
        """Write the header, on the disk when this returns. Raises OSError."""
        with self._journals() as journals:
            remove_tree(journals, self.name.value)  # what was left of one that had ended
            os.mkdir(self.name.value, _MODE, dir_fd=journals)
            try:
                os.fsync(journals)
                with opened(journals, self.name.value) as here:
                    write_file(here, _LOG, journal_format.encode_header(header), 0o600)
                    flags = os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
                    self._log = os.open(_LOG, flags, dir_fd=here)
            except OSError:  # on a full disk: nothing has begun
                remove_tree(journals, self.name.value)
                raise

    def turn(self, header: Header) -> None:
        """Begin anew, from one moment to the next: a journal that has begun says either.

        Raises OSError.
        """
        if self._log is None:
            self.begin(header)
            return
        self.close()
        with self._opened() as here:
            write_file(here, _LOG, journal_format.encode_header(header), 0o600)

    def append(self, entry: Entry) -> None:
        """Add an entry, on the disk when this returns. Raises OSError."""
        if self._log is None:
            raise AtomicSysError(f"the journal of {self.name} has not begun")
        write_all(self._log, journal_format.encode_entry(entry))
        os.fsync(self._log)

    def back_up(self, parent: int, name: str) -> Backup:
        """Keep a file or link in the journal, on the disk when this returns. Raises OSError.

        A file becomes another name of the one that is there, which takes no room, now or when it
        is put back; it must be replaced by others, and not be written to. Where that cannot be,
        it is copied.
        """
        info = os.stat(name, dir_fd=parent, follow_symlinks=False)
        copy = target = None
        if stat.S_ISLNK(info.st_mode):
            target = os.readlink(name, dir_fd=parent)
        else:
            self._copies += 1
            copy = str(self._copies)
            with self._opened() as here:
                _keep(parent, name, here, copy)
        return Backup(
            copy=copy,
            target=target,
            mode=stat.S_IMODE(info.st_mode),
            uid=info.st_uid,
            gid=info.st_gid,
        )

    @contextlib.contextmanager
    def backup(self, copy: str) -> Iterator[int]:
        """A copy, open for reading. Raises OSError."""
        with self._opened() as here:
            fd = os.open(copy, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW, dir_fd=here)
        try:
            yield fd
        finally:
            os.close(fd)

    def give_room(self) -> None:
        """Free what was kept for putting copies back: call it right before. Raises OSError."""
        with contextlib.suppress(FileNotFoundError), self._opened() as here:
            for name in os.listdir(here):
                if name.endswith(_ROOM):
                    os.unlink(name, dir_fd=here)

    def read(self) -> Recorded | None:
        """What the journal says, None where there is none.

        Raises InvalidJournal, which says what can be done, or OSError.
        """
        try:
            with self._opened() as here:
                document = read_file(here, _LOG, _LIMIT)
            return None if document is None else journal_format.decode(document)
        except FileNotFoundError:
            return None
        except InvalidJournal as error:
            raise InvalidJournal(
                f"the journal {self.path}/{_LOG} of an interrupted command is damaged: {error}",
                hint=f"compare {self.name} with what it lists, then remove {self.path}",
            ) from None

    def end(self) -> None:
        """All is done and on the disk: forget it. Raises OSError."""
        self._sync()
        self.close()
        with self._journals() as journals:
            with contextlib.suppress(FileNotFoundError), opened(journals, self.name.value) as here:
                os.unlink(_LOG, dir_fd=here)  # from here on it is no journal any more
                os.fsync(here)
            remove_tree(journals, self.name.value)

    def discard(self) -> None:
        """Remove what is left of a journal that has ended. Raises OSError."""
        if self.name.value in names(self._root, self._checkouts):
            with self._journals() as journals:
                remove_tree(journals, self.name.value)

    def close(self) -> None:
        """Give the descriptor back; the journal stays."""
        if self._log is not None:
            os.close(self._log)
            self._log = None

    def _sync(self) -> None:
        """Write the file systems to their disks that a container has files on."""
        done: set[int] = set()
        for path in (self._checkouts, "/etc", "/usr", "/var"):
            with contextlib.suppress(FileNotFoundError, NotADirectoryError):
                fd = open_directory(self._root, path)
                try:
                    device = os.fstat(fd).st_dev
                    if device not in done:
                        sync_file_system(fd)
                    done.add(device)
                finally:
                    os.close(fd)

    @contextlib.contextmanager
    def _journals(self) -> Iterator[int]:
        checkouts = make_directories(self._root, self._checkouts)
        try:
            with contextlib.suppress(FileExistsError):
                os.mkdir(DIRECTORY, _MODE, dir_fd=checkouts)
                os.fsync(checkouts)
            fd = open_directory(checkouts, DIRECTORY)
        finally:
            os.close(checkouts)
        try:
            yield fd
        finally:
            os.close(fd)

    @contextlib.contextmanager
    def _opened(self) -> Iterator[int]:
        fd = open_directory(self._root, self.path)
        try:
            yield fd
        finally:
            os.close(fd)


def names(root: int, checkouts: str) -> tuple[str, ...]:
    """The containers that have a journal, sorted. Raises OSError."""
    try:
        fd = open_directory(root, f"{checkouts}/{DIRECTORY}")
    except (FileNotFoundError, NotADirectoryError):
        return ()
    try:
        return tuple(sorted(os.listdir(fd)))
    finally:
        os.close(fd)


def _keep(parent: int, name: str, to: int, copy: str) -> None:
    try:
        os.link(name, copy, src_dir_fd=parent, dst_dir_fd=to, follow_symlinks=False)
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise
        # Another file system or mount, or one without hard links: with room to put it back.
        _copy(parent, name, to, copy)
        size = os.stat(copy, dir_fd=to).st_size
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW
        fd = os.open(f"{copy}{_ROOM}", flags, 0o600, dir_fd=to)
        try:
            os.posix_fallocate(fd, 0, size + _BLOCK)
        finally:
            os.close(fd)
    else:
        os.fsync(to)


def _copy(parent: int, name: str, to: int, copy: str) -> None:
    source = os.open(name, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW, dir_fd=parent)
    with open(source, "rb") as reader:
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW
        with open(os.open(copy, flags, 0o600, dir_fd=to), "wb") as writer:
            shutil.copyfileobj(reader, writer)
            writer.flush()
            os.fsync(writer.fileno())
    os.fsync(to)
