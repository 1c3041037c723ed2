# SPDX-License-Identifier: LGPL-2.1-or-later
"""An OSTree repository on disk: its configuration, its objects by name, its refs.

Everything is reached from one directory descriptor. Reading believes nothing: a metadata object is
returned only when its bytes have the checksum that names it. Writing objects is in ingest.py.
Source: libostree's ostree-repo.c, the layout that `ostree init` makes.
"""

import contextlib
import os
import re
import stat
from collections.abc import Iterator
from enum import Enum
from typing import Self

from atomic_sys.errors import AtomicSysError, Damaged
from atomic_sys.frozen import frozen
from atomic_sys.fs.atomic import read_file, write_file
from atomic_sys.fs.directory import opened
from atomic_sys.fs.lock import LockKind, locked
from atomic_sys.model.layer import Metadata
from atomic_sys.store.objects import (
    CHECKSUM_SIZE,
    Checksum,
    Commit,
    ObjectKind,
    checksum,
    decode_commit,
    decode_metadata,
)

METADATA_LIMIT = 128 << 20  # bytes of a metadata object, libostree's limit
_CONFIG_LIMIT = 1 << 20
_REF_LIMIT = 128
_READ = 1 << 16  # bytes
LOCK = ".lock"  # libostree's own lock file
OWN = "extensions/atomic-sys"  # where libostree leaves alone what we keep besides objects
USER_METADATA = "user.ostreemeta"
_DIRECTORIES = ("objects", "tmp", "extensions", "state", "refs", "refs/heads", "refs/mirrors",
                "refs/remotes", "tmp/cache")  # fmt: skip
_REF = re.compile(r"(?:[A-Za-z0-9_][-._A-Za-z0-9]*/)*[A-Za-z0-9_][-._A-Za-z0-9]*")
_NAME_MAX = 255


class InvalidRepository(AtomicSysError):
    """A directory that is no OSTree repository, or one that we cannot use."""


class Mode(Enum):
    """How a repository keeps its content objects."""

    BARE = "bare"  # as the files themselves, which only root can do
    BARE_USER = "bare-user"  # as the user's own files, the metadata in an extended attribute


@frozen
class ContentInfo:
    """What a content object is; `target` is None for a regular file, `size` is in bytes."""

    metadata: Metadata
    target: str | None
    size: int


class Repository:
    """An open repository. `fd` and `objects` are descriptors of its directories."""

    def __init__(self, fd: int, mode: Mode) -> None:
        self.fd = fd
        self.mode = mode
        self.objects = os.open("objects", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=fd)

    @classmethod
    def create(cls, dfd: int, name: str, mode: Mode) -> Self:
        """Make a repository where there is none, and open it.

        Its directory is closed to others: it holds set-user-ID files of images. Raises
        InvalidRepository, OSError.
        """
        with contextlib.suppress(FileExistsError):
            os.mkdir(name, 0o700, dir_fd=dfd)
        with opened(dfd, name) as fd:
            for directory in _DIRECTORIES:
                with contextlib.suppress(FileExistsError):
                    os.mkdir(directory, 0o755, dir_fd=fd)
            if read_file(fd, "config", _CONFIG_LIMIT) is None:  # what makes it one, so it is last
                config = f"[core]\nrepo_version=1\nmode={mode.value}\n"
                write_file(fd, "config", config.encode("ascii"))
        return cls.open(dfd, name)

    @classmethod
    def open(cls, dfd: int, name: str) -> Self:
        """Open the repository `name` below `dfd`.

        Raises InvalidRepository, OSError.
        """
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
        fd = os.open(name, flags, dir_fd=dfd)
        try:
            return cls(fd, _mode(read_file(fd, "config", _CONFIG_LIMIT), name))
        except BaseException:
            os.close(fd)
            raise

    def close(self) -> None:
        """Give the descriptors back."""
        os.close(self.objects)
        os.close(self.fd)

    def locked(self, kind: LockKind, timeout: float) -> contextlib.AbstractContextManager[None]:
        """Hold the repository's lock, libostree's too; `timeout` in seconds. Raises Busy."""
        return locked(self.fd, LOCK, kind, timeout=timeout, what="the store")

    def has(self, kind: ObjectKind, name: Checksum) -> bool:
        """Whether there is such an object."""
        try:
            os.stat(object_path(kind, name), dir_fd=self.objects, follow_symlinks=False)
        except FileNotFoundError:
            return False
        return True

    def read_metadata(self, kind: ObjectKind, name: Checksum) -> bytes:
        """The bytes of a dirtree, dirmeta or commit.

        Raises Damaged when it is missing or its bytes do not have its checksum.
        """
        try:
            flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW
            fd = os.open(object_path(kind, name), flags, dir_fd=self.objects)
        except FileNotFoundError:
            raise _missing(kind, name) from None
        try:
            content = _read(fd)
        finally:
            os.close(fd)
        if checksum(content) != name:
            raise Damaged(f"damaged object {name.hex()}.{kind.value}", hint=_REPAIR)
        return content

    def commit(self, name: Checksum) -> Commit:
        """A commit. Raises Damaged."""
        return decode_commit(self.read_metadata(ObjectKind.COMMIT, name))

    def content_info(self, name: Checksum) -> ContentInfo:
        """What a content object is, without its extended attributes in mode `bare`.

        Raises Damaged when it is missing.
        """
        path = object_path(ObjectKind.FILE, name)
        try:
            info = os.stat(path, dir_fd=self.objects, follow_symlinks=False)
            if self.mode is Mode.BARE_USER:
                return self._user_info(name, info.st_size)
            is_link = stat.S_ISLNK(info.st_mode)
            target = os.readlink(path, dir_fd=self.objects) if is_link else None
        except FileNotFoundError:
            raise _missing(ObjectKind.FILE, name) from None
        metadata = Metadata(info.st_uid, info.st_gid, stat.S_IMODE(info.st_mode))
        return ContentInfo(metadata=metadata, target=target, size=info.st_size)

    def _user_info(self, name: Checksum, size: int) -> ContentInfo:
        fd = self.open_content(name)
        try:
            metadata, kind = decode_metadata(os.getxattr(fd, USER_METADATA))
            target = None
            if kind == stat.S_IFLNK:
                target = os.read(fd, size).rstrip(b"\0").decode("utf-8", "surrogateescape")
        finally:
            os.close(fd)
        return ContentInfo(metadata=metadata, target=target, size=size)

    def open_content(self, name: Checksum) -> int:
        """A descriptor to read a regular file's content. Raises Damaged when it is missing."""
        path = object_path(ObjectKind.FILE, name)
        try:
            return os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW, dir_fd=self.objects)
        except FileNotFoundError:
            raise _missing(ObjectKind.FILE, name) from None

    def read_ref(self, ref: str) -> Checksum | None:
        """The commit that a ref names, or None when there is no such ref. Raises Damaged."""
        try:
            fd = os.open(f"refs/heads/{valid_ref(ref)}", os.O_RDONLY | os.O_CLOEXEC, dir_fd=self.fd)
        except (FileNotFoundError, NotADirectoryError):
            return None
        with os.fdopen(fd, "rb") as stream:
            return _commit_name(stream.read(_REF_LIMIT), ref)

    def refs(self, below: str = "refs/heads") -> Iterator[tuple[str, Checksum]]:
        """All refs below a directory, by their names without it. Raises Damaged."""
        for name in self.ref_names(below):
            path = f"{below}/{name}"
            with os.fdopen(os.open(path, os.O_RDONLY | os.O_CLOEXEC, dir_fd=self.fd), "rb") as f:
                yield name, _commit_name(f.read(_REF_LIMIT), name)

    def ref_names(self, below: str = "refs/heads") -> Iterator[str]:
        """The names of all refs below a directory, sorted, without it."""
        try:
            fd = os.open(below, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=self.fd)
        except FileNotFoundError:
            return
        try:
            with os.scandir(fd) as listing:
                found = sorted((item.name, item.is_dir(follow_symlinks=False)) for item in listing)
        finally:
            os.close(fd)
        for name, is_directory in found:
            if is_directory:
                for rest in self.ref_names(f"{below}/{name}"):
                    yield f"{name}/{rest}"
            elif _REF.fullmatch(name):  # not somebody's temporary file
                yield name

    def delete_ref(self, ref: str) -> bool:
        """Remove a ref; whether there was one."""
        parent, _, name = f"refs/heads/{valid_ref(ref)}".rpartition("/")
        try:
            fd = os.open(parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=self.fd)
        except FileNotFoundError:
            return False
        try:
            os.unlink(name, dir_fd=fd)
            os.fsync(fd)
        except FileNotFoundError:
            return False
        finally:
            os.close(fd)
        return True


def _read(fd: int) -> bytes:
    """At most METADATA_LIMIT bytes and a bit: one read(2), with a buffer that fits nearly all."""
    content = os.read(fd, _READ)
    while len(content) % _READ == 0 and 0 < len(content) <= METADATA_LIMIT:
        more = os.read(fd, _READ)
        if not more:
            break
        content += more
    return content


_REPAIR = "remove the image, prune and pull it again"


def _missing(kind: ObjectKind, name: Checksum) -> Damaged:
    return Damaged(f"missing object {name.hex()}.{kind.value}", hint=_REPAIR)


def object_path(kind: ObjectKind, name: Checksum) -> str:
    """Where an object is, below `objects`."""
    # The name is 32 bytes: the first one, and 31. `.value` would be a call, for each object.
    return f"{name.hex('/', CHECKSUM_SIZE - 1)}.{kind._value_}"


def valid_ref(ref: str) -> str:
    """The ref, if libostree takes it for one and a file can have its name.

    Raises AtomicSysError otherwise.
    """
    if not _REF.fullmatch(ref) or any(len(part) > _NAME_MAX for part in ref.split("/")):
        raise AtomicSysError(f"{ref[:300]!r} cannot be a ref of the store")
    return ref


def _commit_name(content: bytes, ref: str) -> Checksum:
    try:
        name = bytes.fromhex(content.decode("ascii").strip())
    except ValueError:
        name = b""
    if len(name) != 32:
        raise Damaged(f"damaged ref {ref}", hint=_REPAIR)
    return name


def _mode(config: bytes | None, name: str) -> Mode:
    if config is None:
        raise InvalidRepository(f"{name} is not an OSTree repository: it has no config")
    section = ""
    values: dict[str, str] = {}
    for line in config.decode("utf-8", "replace").splitlines():
        if line.strip().startswith("["):
            section = line.strip()
        elif section == "[core]" and not line.lstrip().startswith("#"):
            key, _, value = line.partition("=")
            values[key.strip()] = value.strip()
    if values.get("repo_version") != "1":
        raise InvalidRepository(f"{name}: unknown version of an OSTree repository")
    try:
        return Mode(values.get("mode", "bare"))
    except ValueError:
        raise InvalidRepository(
            f"{name}: an OSTree repository of mode {values['mode']!r} cannot hold containers",
            hint="set ATOMIC_OSTREE_REPO to one of mode 'bare' or 'bare-user'",
        ) from None
