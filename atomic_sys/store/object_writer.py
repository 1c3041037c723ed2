# SPDX-License-Identifier: LGPL-2.1-or-later
"""Writing objects, with as few system calls as a whole object takes; nothing is synced here.

What is small gets its name first, then its bytes, and libostree's time of all objects, the epoch,
last: the time is what says that an object is whole. One without it was never finished, or has been
written to since, and is replaced by a whole one; a process that is killed leaves at most that.
Everything else is an unnamed file until it is complete. transaction.py makes it durable.
"""

import contextlib
import errno
import hashlib
import os
import stat
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any

from atomic_sys.errors import AtomicSysError
from atomic_sys.fs.atomic import temporary_name, umask, write_all
from atomic_sys.model.layer import Metadata
from atomic_sys.model.stream import ContentMismatch
from atomic_sys.store.integrity import is_finished
from atomic_sys.store.objects import (
    Checksum,
    ObjectKind,
    checksum,
    encode_metadata,
    file_header,
)
from atomic_sys.store.repository import USER_METADATA, Mode, Repository, object_path

_SMALL = 1 << 20  # bytes; a file up to here is hashed before anything is written
_UNNAMED = os.O_TMPFILE | os.O_WRONLY | os.O_CLOEXEC
_NAMED = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW
_EPOCH = (0, 0)  # libostree's time of all objects


class ObjectWriter:
    """Adds objects to a repository."""

    def __init__(self, repository: Repository) -> None:
        self.repository = repository
        self._objects = repository.objects
        self._known: set[tuple[ObjectKind, Checksum]] = set()
        self._files: set[Checksum] = set()  # the same for regular files, which are most of all
        self.empty: set[Checksum] = set()  # those that have no content
        self._directories: set[str] = set()
        self._header = lru_cache(maxsize=4096)(_header_hash)
        self._own = os.geteuid(), os.getegid()  # of what open(2) makes
        self._checked: set[str] = set()  # directories in which it does
        self._can_be_unnamed = os.path.isdir("/proc/self/fd")
        self._masked = umask() | stat.S_ISUID | stat.S_ISGID  # what open(2) may not set

    def add_metadata(self, kind: ObjectKind, content: bytes) -> Checksum:
        """Store a dirtree, dirmeta or commit. Raises OSError."""
        name = checksum(content)
        if not self._present(kind, name):
            with self._new_file(kind, name) as fd:
                write_all(fd, content)
                os.fchmod(fd, 0o644)
        return name

    def add_file(self, metadata: Metadata, size: int, chunks: Iterable[bytes]) -> Checksum:
        """Store a regular file of exactly `size` bytes.

        Raises ContentMismatch when there are more or fewer, OSError.
        """
        hasher = self._header(metadata).copy()
        if size > _SMALL:
            return self._add_large(metadata, size, chunks, hasher)
        content = _joined(chunks)
        if len(content) != size:
            raise ContentMismatch(f"a file of {len(content)} bytes instead of {size}")
        hasher.update(content)
        name: Checksum = hasher.digest()
        if name not in self._files:
            self._put_small(name, metadata, content)
            self._files.add(name)
            self.empty.update(() if content else (name,))
        return name

    def _put_small(self, name: Checksum, metadata: Metadata, content: bytes) -> None:
        path = object_path(ObjectKind.FILE, name)
        self._make_directory_of(path)
        try:
            fd = os.open(path, _NAMED, metadata.mode & ~self._masked, dir_fd=self._objects)
        except FileExistsError:
            if not self._is_whole(path):
                self._replace(path, metadata, content)
            return
        try:
            if path[:2] not in self._checked:
                self._check_new(fd, path[:2], metadata.mode & ~self._masked)
            written = os.write(fd, content) if content else 0
            if written != len(content):
                write_all(fd, content[written:])
            self._dress(fd, metadata, named=True)
        finally:
            os.close(fd)

    def _check_new(self, fd: int, directory: str, mode: int) -> None:
        """Whether open(2) did as we think: a default ACL or a set-group-ID bit has its own idea."""
        found = os.fstat(fd)
        if (found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode)) != (*self._own, mode):
            self._own, self._masked = (-1, -1), 0o7777
        self._checked.add(directory)

    def _is_whole(self, path: str) -> bool:
        return is_finished(os.stat(path, dir_fd=self._objects, follow_symlinks=False))

    def _replace(self, path: str, metadata: Metadata, content: bytes) -> None:
        """Put a whole file in the place of one that somebody may still be writing."""
        here = self.repository.fd
        temporary = f"tmp/{temporary_name('object')}"
        fd = os.open(temporary, _NAMED, 0o600, dir_fd=here)
        try:
            try:
                write_all(fd, content)
                self._dress(fd, metadata)
            finally:
                os.close(fd)
            os.rename(temporary, path, src_dir_fd=here, dst_dir_fd=self._objects)
        except BaseException:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temporary, dir_fd=here)
            raise

    def _add_large(
        self, metadata: Metadata, size: int, chunks: Iterable[bytes], hasher: Any
    ) -> Checksum:
        self._require(size)
        with self._unnamed_file() as (fd, temporary):
            for chunk in _exactly(chunks, size):
                hasher.update(chunk)
                write_all(fd, chunk)
            name: Checksum = hasher.digest()
            path = object_path(ObjectKind.FILE, name)
            if name not in self._files and not self._is_there(path):
                self._dress(fd, metadata)
                self._name(fd, temporary, path)
        self._files.add(name)
        return name

    def _require(self, size: int) -> None:
        """Raises OSError (ENOSPC) before a file fills the disk that has no room for it."""
        found = os.fstatvfs(self.repository.fd)
        if size > found.f_frsize * found.f_bfree:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def _is_there(self, path: str) -> bool:
        try:
            return self._is_whole(path)
        except FileNotFoundError:
            return False

    def add_symlink(self, metadata: Metadata, target: str) -> Checksum:
        """Store a symbolic link.

        Raises AtomicSysError for a target that no link can have, OSError.
        """
        if not target or "\0" in target or not _is_utf8(target):
            raise AtomicSysError(f"invalid target of a symbolic link: {target[:80]!r}")
        name = checksum(file_header(metadata, target))
        if self._present(ObjectKind.FILE, name):
            return name
        if self.repository.mode is Mode.BARE:
            self._link_object(metadata, target, object_path(ObjectKind.FILE, name))
            return name
        with self._new_file(ObjectKind.FILE, name) as fd:
            write_all(fd, target.encode("utf-8") + b"\0")
            link = Metadata(metadata.uid, metadata.gid, 0o777, metadata.xattrs)
            os.setxattr(fd, USER_METADATA, encode_metadata(link, stat.S_IFLNK))
            os.fchmod(fd, 0o644)
            os.utime(fd, _EPOCH)
        return name

    def _link_object(self, metadata: Metadata, target: str, path: str) -> None:
        temporary = f"tmp/{temporary_name('link')}"
        here = self.repository.fd
        os.symlink(target, temporary, dir_fd=here)
        try:
            os.chown(temporary, metadata.uid, metadata.gid, dir_fd=here, follow_symlinks=False)
            for key, value in metadata.xattrs:
                # There is no lsetxattrat(2) yet; the magic link leads to the directory itself.
                if value:
                    proc = f"/proc/self/fd/{here}/{temporary}"
                    os.setxattr(proc, key, value, follow_symlinks=False)
            self._make_directory_of(path)
            os.rename(temporary, path, src_dir_fd=here, dst_dir_fd=self._objects)
        except BaseException:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temporary, dir_fd=here)
            raise

    def _present(self, kind: ObjectKind, name: Checksum) -> bool:
        key = (kind, name)
        if key in self._known or self.repository.has(kind, name):
            self._known.add(key)
            return True
        self._known.add(key)
        return False

    @contextlib.contextmanager
    def _new_file(self, kind: ObjectKind, name: Checksum) -> Iterator[int]:
        """A file to fill, which becomes this object if the block ends without an error."""
        try:
            with self._unnamed_file() as (fd, temporary):
                yield fd
                self._name(fd, temporary, object_path(kind, name))
        except BaseException:
            self._known.discard((kind, name))
            raise

    @contextlib.contextmanager
    def _unnamed_file(self) -> Iterator[tuple[int, str | None]]:
        """A file without a name, or, where the file system cannot do that, with one in tmp/."""
        fd, temporary = -1, None
        if self._can_be_unnamed:
            try:
                fd = os.open(".", _UNNAMED, 0o600, dir_fd=self._objects)
            except OSError:  # whatever the reason, a named one shows whether writing is possible
                self._can_be_unnamed = False
        if fd < 0:
            temporary = f"tmp/{temporary_name('object')}"
            fd = os.open(temporary, _NAMED, 0o600, dir_fd=self.repository.fd)
        try:
            yield fd, temporary
        finally:
            os.close(fd)
            if temporary is not None:
                os.unlink(temporary, dir_fd=self.repository.fd)

    def _name(self, fd: int, temporary: str | None, path: str) -> None:
        source = f"/proc/self/fd/{fd}" if temporary is None else temporary
        self._make_directory_of(path)
        with contextlib.suppress(FileExistsError):
            os.link(
                source,
                path,
                src_dir_fd=self.repository.fd,
                dst_dir_fd=self._objects,
                follow_symlinks=temporary is None,
            )

    def _make_directory_of(self, path: str) -> None:
        if path[:2] not in self._directories:
            with contextlib.suppress(FileExistsError):
                os.mkdir(path[:2], 0o755, dir_fd=self._objects)
            self._directories.add(path[:2])

    def _dress(self, fd: int, metadata: Metadata, *, named: bool = False) -> None:
        """Owner, mode, attributes and time, in the order in which none undoes another.

        A `named` file has its owner and mode already, where they are those that it was made with.
        """
        if self.repository.mode is Mode.BARE:
            if not named or (metadata.uid, metadata.gid) != self._own:
                os.fchown(fd, metadata.uid, metadata.gid)
                os.fchmod(fd, metadata.mode)
            elif metadata.mode & self._masked:
                os.fchmod(fd, metadata.mode)
            for key, value in metadata.xattrs:
                if value:  # an empty one is not part of the object
                    os.setxattr(fd, key, value)
        else:
            os.setxattr(fd, USER_METADATA, encode_metadata(metadata, stat.S_IFREG))
            os.fchmod(fd, metadata.mode & 0o775 | 0o400)
        os.utime(fd, _EPOCH)


def _joined(chunks: Iterable[bytes]) -> bytes:
    """All of it; a file that came in one piece, as most do, is not copied."""
    if isinstance(chunks, tuple) and len(chunks) == 1:
        return bytes(chunks[0])
    return b"".join(chunks)


def _header_hash(metadata: Metadata) -> Any:
    """hashlib's type has no public name."""
    return hashlib.sha256(file_header(metadata))


def _exactly(chunks: Iterable[bytes], size: int) -> Iterator[bytes]:
    left = size
    for chunk in chunks:
        left -= len(chunk)
        if left < 0:
            raise ContentMismatch(f"a file of more than the promised {size} bytes")
        yield chunk
    if left:
        raise ContentMismatch(f"a file of {size - left} bytes instead of {size}")


def _is_utf8(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
