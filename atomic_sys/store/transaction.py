# SPDX-License-Identifier: LGPL-2.1-or-later
"""Writing to a repository: whole objects first, then one syncfs, then the refs that name them.

Nothing is synced per object. An object is an unnamed file until its bytes, owner, mode and
attributes are complete, so another process never sees half of one and a killed one leaves none.
A power cut can still leave a name without its bytes; therefore a synced mark in `state/` says that
a transaction was open, and recovery.py looks at what is younger before anything trusts it.
"""

import contextlib
import fcntl
import hashlib
import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Any, Self

from atomic_sys.errors import AtomicSysError
from atomic_sys.fs.atomic import sync_file_system, temporary_name, write_all
from atomic_sys.model.layer import Metadata
from atomic_sys.model.stream import ContentMismatch
from atomic_sys.store.objects import (
    Checksum,
    ObjectKind,
    checksum,
    encode_metadata,
    file_header,
)
from atomic_sys.store.repository import USER_METADATA, Mode, Repository, object_path, valid_ref

MARK_SUFFIX = ".atomic-sys-transaction"
_SMALL = 1 << 20  # bytes; a file up to here is hashed before anything is written
_UNNAMED = os.O_TMPFILE | os.O_WRONLY | os.O_CLOEXEC
_NAMED = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW
_EPOCH = (0, 0)  # libostree's time of all objects


def boot_id() -> str:
    """What tells this boot from all others: a mark of an earlier one means lost writes."""
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as stream:
            return stream.read().strip()
    except FileNotFoundError:
        return "unknown"


class Transaction:
    """The one way to add to a repository; use open_transaction()."""

    def __init__(self, repository: Repository) -> None:
        self.repository = repository
        self._objects = repository.objects
        self._known: set[tuple[ObjectKind, Checksum]] = set()
        self._directories: set[str] = set()
        self._header = lru_cache(maxsize=4096)(_header_hash)
        self._can_be_unnamed = os.path.isdir("/proc/self/fd")
        self._mark = temporary_name("mark").strip(".") + MARK_SUFFIX
        self._mark_fd = self._write_mark()

    def _write_mark(self) -> int:
        fd = os.open(f"state/{self._mark}", _NAMED, 0o600, dir_fd=self.repository.fd)
        fcntl.flock(fd, fcntl.LOCK_EX)  # as long as it is held, its owner is alive
        write_all(fd, boot_id().encode("ascii"))
        os.fsync(fd)
        state = os.open("state", os.O_RDONLY | os.O_DIRECTORY, dir_fd=self.repository.fd)
        try:
            os.fsync(state)
        finally:
            os.close(state)
        return fd

    def close(self) -> None:
        """Give up what was not committed; the mark stays, for there are objects not yet synced."""
        os.close(self._mark_fd)

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
        content = b"".join(_exactly(chunks, size))
        hasher.update(content)
        name: Checksum = hasher.digest()
        if not self._present(ObjectKind.FILE, name):
            with self._new_file(ObjectKind.FILE, name) as fd:
                write_all(fd, content)
                self._dress(fd, metadata)
        return name

    def _add_large(
        self, metadata: Metadata, size: int, chunks: Iterable[bytes], hasher: Any
    ) -> Checksum:
        with self._unnamed_file() as (fd, temporary):
            for chunk in _exactly(chunks, size):
                hasher.update(chunk)
                write_all(fd, chunk)
            name: Checksum = hasher.digest()
            if not self._present(ObjectKind.FILE, name):
                self._dress(fd, metadata)
                self._name(fd, temporary, object_path(ObjectKind.FILE, name))
        return name

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

    def _dress(self, fd: int, metadata: Metadata) -> None:
        """Owner, mode, attributes and time, in the order in which none undoes another."""
        if self.repository.mode is Mode.BARE:
            os.fchown(fd, metadata.uid, metadata.gid)
            os.fchmod(fd, metadata.mode)
            for key, value in metadata.xattrs:
                if value:  # an empty one is not part of the object
                    os.setxattr(fd, key, value)
        else:
            os.setxattr(fd, USER_METADATA, encode_metadata(metadata, stat.S_IFREG))
            os.fchmod(fd, metadata.mode & 0o775 | 0o400)
        os.utime(fd, _EPOCH)

    def commit(self, refs: Sequence[tuple[str, Checksum]]) -> None:
        """Make everything durable, and only then let the refs name it, in the given order.

        Raises OSError.
        """
        here = self.repository.fd
        prepared = [(self._prepare_ref(ref, name), ref) for ref, name in refs]
        sync_file_system(here)
        for temporary, ref in prepared:
            os.rename(temporary, f"refs/heads/{ref}", src_dir_fd=here, dst_dir_fd=here)
        for parent in sorted({f"refs/heads/{ref}".rpartition("/")[0] for ref, _ in refs}):
            fd = os.open(parent, os.O_RDONLY | os.O_DIRECTORY, dir_fd=here)
            try:
                os.fsync(fd)
            finally:
                os.close(fd)
        os.unlink(f"state/{self._mark}", dir_fd=here)

    def _prepare_ref(self, ref: str, name: Checksum) -> str:
        here = self.repository.fd
        parent = f"refs/heads/{valid_ref(ref)}".rpartition("/")[0]
        with contextlib.suppress(FileExistsError):
            os.mkdir(parent, 0o755, dir_fd=here)
        temporary = f"tmp/{temporary_name('ref')}"
        fd = os.open(temporary, _NAMED, 0o644, dir_fd=here)
        try:
            write_all(fd, name.hex().encode("ascii") + b"\n")
        finally:
            os.close(fd)
        return temporary

    @classmethod
    @contextlib.contextmanager
    def open(cls, repository: Repository) -> Iterator[Self]:
        """A transaction for the length of the block; what it did not commit stays without a ref."""
        transaction = cls(repository)
        try:
            yield transaction
        finally:
            transaction.close()


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
