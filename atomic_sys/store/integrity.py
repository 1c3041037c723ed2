# SPDX-License-Identifier: LGPL-2.1-or-later
"""Whether an object is what its name promises: bytes, owner, mode and extended attributes."""

import errno
import hashlib
import os
import stat
from collections.abc import Iterator
from typing import NamedTuple

from atomic_sys.errors import AtomicSysError, Damaged
from atomic_sys.fs.directory import opened
from atomic_sys.model.layer import Metadata
from atomic_sys.store.objects import Checksum, ObjectKind, decode_metadata, file_header
from atomic_sys.store.repository import USER_METADATA, Mode, Repository, object_path

_CHUNK = 1 << 20
_DIGITS = 62  # of an object's name in its directory, whose name has the first two
_READ = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
_KINDS = {kind.value: kind for kind in ObjectKind}
_OF_THE_SERVER = frozenset(("system.nfs4_acl",))  # what NFS makes of a file's owner and mode


class ObjectName(NamedTuple):
    """What names an object: its kind and its checksum."""

    kind: ObjectKind
    checksum: Checksum

    def __str__(self) -> str:
        return f"{self.checksum.hex()}.{self.kind.value}"


class ObjectHasher:
    """Hashes content objects; the hash of each header that was met is begun only once.

    `mode` is how the files are kept; without it as in the repository.
    """

    def __init__(self, repository: Repository, mode: Mode | None = None) -> None:
        self.repository = repository
        self.mode = mode or repository.mode
        self._begun: dict[Metadata, hashlib._Hash] = {}
        self._buffer = memoryview(bytearray(_CHUNK))

    def checksum(self, name: str, dfd: int) -> tuple[Checksum, int]:
        """The checksum of the file `name` below `dfd` as a content object, and its size in bytes.

        The file is one of the repository's, or one that was checked out of it. Raises Damaged for
        what can be no such object, OSError.
        """
        try:
            fd = os.open(name, _READ, dir_fd=dfd)
        except OSError as error:
            if error.errno != errno.ELOOP:
                raise
            return self._link(name, dfd), 0
        try:
            return self._file(fd)
        finally:
            os.close(fd)

    def _link(self, name: str, dfd: int) -> Checksum:
        info = os.stat(name, dir_fd=dfd, follow_symlinks=False)
        attributes = xattrs(f"/proc/self/fd/{dfd}/{name}")
        metadata = Metadata(info.st_uid, info.st_gid, stat.S_IMODE(info.st_mode), attributes)
        return hashlib.sha256(file_header(metadata, os.readlink(name, dir_fd=dfd))).digest()

    def _file(self, fd: int) -> tuple[Checksum, int]:
        info = os.fstat(fd)
        if not stat.S_ISREG(info.st_mode):
            raise Damaged("not a regular file")
        if self.mode is Mode.BARE_USER:
            metadata, kind = decode_metadata(os.getxattr(fd, USER_METADATA))
            if kind == stat.S_IFLNK:
                target = os.read(fd, info.st_size).rstrip(b"\0").decode("utf-8", "surrogateescape")
                return hashlib.sha256(file_header(metadata, target)).digest(), 0
        else:
            mode = stat.S_IMODE(info.st_mode)
            metadata = Metadata(info.st_uid, info.st_gid, mode, xattrs(fd))
        hasher = self._hasher(metadata)
        while size := os.readv(fd, [self._buffer]):
            hasher.update(self._buffer[:size])
        return hasher.digest(), info.st_size

    def _hasher(self, metadata: Metadata) -> "hashlib._Hash":
        begun = self._begun.get(metadata)
        if begun is None:
            begun = self._begun[metadata] = hashlib.sha256(file_header(metadata))
        return begun.copy()


def xattrs(path: str | int) -> tuple[tuple[bytes, bytes], ...]:
    """The extended attributes of a file, sorted; a path's last component is not followed."""
    follow = isinstance(path, int)
    try:
        keys = os.listxattr(path, follow_symlinks=follow)
    except OSError as error:
        if error.errno != errno.ENOTSUP:  # a file system that has none, such as NFS before 4.2
            raise
        return ()
    if not keys:
        return ()
    names = sorted(os.fsencode(key) for key in keys if key not in _OF_THE_SERVER)
    return tuple((key, os.getxattr(path, key, follow_symlinks=follow)) for key in names)


def objects(repository: Repository) -> Iterator[ObjectName]:
    """All objects of a kind that we know, in no order. Raises OSError."""
    for prefix in prefixes(repository):
        with opened(repository.objects, prefix) as fd:
            files = os.listdir(fd)
        for file in files:
            name = object_name(prefix, file)
            if name is not None:
                yield name


def prefixes(repository: Repository) -> list[str]:
    """The directories of objects. Raises OSError."""
    with os.scandir(repository.objects) as listing:
        return sorted(item.name for item in listing if len(item.name) == 2)


def object_name(prefix: str, file: str) -> ObjectName | None:
    """The object whose file has this name in the directory `prefix`; None for other files."""
    digits, _, suffix = file.partition(".")
    if suffix not in _KINDS or len(digits) != _DIGITS:
        return None
    try:
        return ObjectName(_KINDS[suffix], bytes.fromhex(prefix + digits))
    except ValueError:
        return None


def is_finished(info: os.stat_result) -> bool:
    """Whether a content object was finished, and has not been written to since.

    Its time is the epoch then, as libostree has it; a symbolic link is made at once.
    """
    return info.st_mtime_ns == 0 or not stat.S_ISREG(info.st_mode)


def is_unfinished(hasher: ObjectHasher, name: ObjectName) -> bool:
    """Whether the object is a file that is still being written, was left so, or is gone again."""
    path, objects_fd = object_path(*name), hasher.repository.objects
    try:
        return not is_finished(os.stat(path, dir_fd=objects_fd, follow_symlinks=False))
    except FileNotFoundError:
        return True


def is_intact(hasher: ObjectHasher, name: ObjectName) -> bool:
    """Whether there is an object of this name, and it is what its name says."""
    directory, file = object_path(*name).split("/")
    try:
        with opened(hasher.repository.objects, directory) as fd:
            return size_if_intact(hasher, name, file, fd) is not None
    except OSError:
        return False


def size_if_intact(hasher: ObjectHasher, name: ObjectName, file: str, fd: int) -> int | None:
    """How many bytes the object in `file` below `fd` has; None when it is not what it says."""
    try:
        if name.kind is not ObjectKind.FILE:
            return len(hasher.repository.read_metadata(name.kind, name.checksum))
        checksum, size = hasher.checksum(file, fd)
    except (AtomicSysError, OSError, UnicodeError):
        return None
    return size if checksum == name.checksum else None
