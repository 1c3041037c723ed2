# SPDX-License-Identifier: LGPL-2.1-or-later
"""Writing objects, with as few system calls as a whole object takes; nothing is synced here.

What is small gets its name first, then its bytes, and libostree's time of all objects, the epoch,
last: the time is what says that an object is whole. One without it was never finished, or has been
written to since, and is replaced by a whole one; a process that is killed leaves at most that.
Everything else is an unnamed file until it is complete. transaction.py makes it durable.
"""

import contextlib
import errno
import os
import stat
from collections.abc import Iterable, Iterator
from typing import Any

from atomic_sys.errors import AtomicSysError
from atomic_sys.fs.atomic import temporary_name, write_all
from atomic_sys.model.layer import Metadata, Piece
from atomic_sys.model.stream import ContentMismatch
from atomic_sys.store.integrity import is_finished
from atomic_sys.store.objects import (
    Checksum,
    ObjectKind,
    checksum,
    encode_metadata,
    file_header,
)
from atomic_sys.store.recipes import EPOCH, Recipe, Recipes
from atomic_sys.store.repository import USER_METADATA, Mode, Repository, object_path

_SMALL = 1 << 20  # bytes; a file up to here is hashed before anything is written
_UNNAMED = os.O_TMPFILE | os.O_WRONLY | os.O_CLOEXEC
_NAMED = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW
_FILE = ObjectKind.FILE  # by the class it would be a call for each object


class ObjectWriter:
    """Adds objects to a repository."""

    def __init__(self, repository: Repository) -> None:
        self.repository = repository
        self._objects = repository.objects
        self._known: set[tuple[ObjectKind, Checksum]] = set()
        self._files: set[Checksum] = set()  # the same for regular files, which are most of all
        self.empty: set[Checksum] = set()  # those that have no content
        self._directories: set[str] = set()
        self._recipes = Recipes(repository.mode)
        self._checked: set[str] = set()  # directories in which open(2) did what we think
        self._can_be_unnamed = os.path.isdir("/proc/self/fd")

    def add_metadata(self, kind: ObjectKind, content: bytes) -> Checksum:
        """Store a dirtree, dirmeta or commit. Raises OSError."""
        name = checksum(content)
        if not self._present(kind, name):
            with self._new_file(kind, name) as fd:
                write_all(fd, content)
                os.fchmod(fd, 0o644)
        return name

    def add_file(self, metadata: Metadata, size: int, chunks: Iterable[Piece]) -> Checksum:
        """Store a regular file of exactly `size` bytes.

        Raises ContentMismatch when there are more or fewer, OSError.
        """
        recipe = self._recipes.of(metadata)
        hasher = recipe.begun.copy()
        if size > _SMALL:
            return self._add_large(metadata, size, chunks, hasher)
        # One that came in one piece, as most do, is not copied.
        content = chunks[0] if type(chunks) is tuple and len(chunks) == 1 else b"".join(chunks)
        if len(content) != size:
            raise ContentMismatch(f"a file of {len(content)} bytes instead of {size}")
        hasher.update(content)
        name: Checksum = hasher.digest()
        if name not in self._files:
            self._put_small(name, metadata, content, recipe)
            self._files.add(name)
            if not content:
                self.empty.add(name)
        return name

    def _put_small(
        self, name: Checksum, metadata: Metadata, content: Piece, recipe: Recipe
    ) -> None:
        path = object_path(_FILE, name)
        is_checked = path[:2] in self._checked
        if not is_checked:
            self._make_directory_of(path)
        try:
            fd = os.open(path, _NAMED, recipe.mode, dir_fd=self._objects)
        except FileExistsError:
            if not self._is_whole(path):
                self._replace(path, metadata, content)
            return
        try:
            if not is_checked:
                self._recipes.check(fd, recipe)
                self._checked.add(path[:2])
            written = os.write(fd, content) if content else 0
            if written != len(content):
                write_all(fd, content[written:])
            if recipe.is_whole and is_checked:
                os.utime(fd, EPOCH)
            else:
                self._recipes.dress(fd, metadata, named=True)
        finally:
            os.close(fd)

    def _is_whole(self, path: str) -> bool:
        return is_finished(os.stat(path, dir_fd=self._objects, follow_symlinks=False))

    def _replace(self, path: str, metadata: Metadata, content: Piece) -> None:
        """Put a whole file in the place of one that somebody may still be writing."""
        here = self.repository.fd
        temporary = f"tmp/{temporary_name('object')}"
        fd = os.open(temporary, _NAMED, 0o600, dir_fd=here)
        try:
            try:
                write_all(fd, content)
                self._recipes.dress(fd, metadata)
            finally:
                os.close(fd)
            os.rename(temporary, path, src_dir_fd=here, dst_dir_fd=self._objects)
        except BaseException:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temporary, dir_fd=here)
            raise

    def _add_large(
        self, metadata: Metadata, size: int, chunks: Iterable[Piece], hasher: Any
    ) -> Checksum:
        self._require(size)
        with self._unnamed_file() as (fd, temporary):
            for chunk in _exactly(chunks, size):
                hasher.update(chunk)
                write_all(fd, chunk)
            name: Checksum = hasher.digest()
            path = object_path(_FILE, name)
            if name not in self._files and not self._is_there(path):
                self._recipes.dress(fd, metadata)
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
            self._link_object(metadata, target, object_path(_FILE, name))
            return name
        with self._new_file(ObjectKind.FILE, name) as fd:
            write_all(fd, target.encode("utf-8") + b"\0")
            link = Metadata(metadata.uid, metadata.gid, 0o777, metadata.xattrs)
            os.setxattr(fd, USER_METADATA, encode_metadata(link, stat.S_IFLNK))
            os.fchmod(fd, 0o644)
            os.utime(fd, EPOCH)
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


def _exactly(chunks: Iterable[Piece], size: int) -> Iterator[Piece]:
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
