# SPDX-License-Identifier: LGPL-2.1-or-later
"""Tar archives of images: the same members give the same bytes, owned by nobody in particular.

The contents are collected first, in files without a name, since a header says its member's size and
since layers come several at once. The archive is a stream then: to a file that has its name only
when it is whole, to a pipe, or to another program.
"""

import contextlib
import os
import tarfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Self

from atomic_sys.errors import AtomicSysError
from atomic_sys.fs.atomic import write_all, write_stream
from atomic_sys.fs.directory import open_root
from atomic_sys.image.files import CHUNK

_UNNAMED = os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class Part:
    """A content in a file without a name; `size` is in bytes."""

    fd: int
    size: int

    def chunks(self) -> Iterator[bytes]:
        """The content. Raises OSError."""
        at = 0
        while chunk := os.pread(self.fd, CHUNK, at):
            at += len(chunk)
            yield chunk


class Spool:
    """Contents below a directory, without names; use it as a context manager."""

    def __init__(self, directory: str) -> None:
        self._directory = directory
        self._closing = contextlib.ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.close()

    def put(self, chunks: Iterable[bytes]) -> Part:
        """Keep the content. Raises OSError, and whatever `chunks` raises."""
        fd = os.open(self._directory, _UNNAMED, 0o600)
        try:
            size = 0
            for chunk in chunks:
                write_all(fd, chunk)
                size += len(chunk)
        except BaseException:
            os.close(fd)
            raise
        self._closing.callback(os.close, fd)
        return Part(fd, size)


Members = Mapping[str, Part | bytes]


def tar_chunks(members: Members) -> Iterator[bytes]:
    """The archive of these members, in their order. Raises OSError."""
    for name, content in members.items():
        size = _size(content)
        yield _header(name, size)
        if isinstance(content, bytes):
            yield content
        else:
            yield from content.chunks()
        yield bytes(-size % tarfile.BLOCKSIZE)
    yield bytes(2 * tarfile.BLOCKSIZE)


def tar_size(members: Members) -> int:
    """How many bytes tar_chunks() gives."""
    sizes = [
        (len(_header(name, size)), size, -size % tarfile.BLOCKSIZE)
        for name, size in ((name, _size(content)) for name, content in members.items())
    ]
    return sum(map(sum, sizes)) + 2 * tarfile.BLOCKSIZE


def _size(content: Part | bytes) -> int:
    return len(content) if isinstance(content, bytes) else content.size


def _header(name: str, size: int) -> bytes:
    info = tarfile.TarInfo(name)
    info.size = size
    info.mode = 0o644
    return info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")


def write_archive(path: str, members: Members) -> None:
    """Put the archive in place, replacing a file of this name. Raises AtomicSysError, OSError."""
    directory, name = split(path)
    dfd = open_root(directory)
    try:
        write_stream(dfd, name, tar_chunks(members))
    finally:
        os.close(dfd)


def split(path: str) -> tuple[str, str]:
    """The directory of an archive to write, and its name there.

    Raises AtomicSysError where there is no such directory, or something else than a file.
    """
    directory, name = os.path.split(os.path.realpath(path))
    if os.path.lexists(path) and not os.path.isfile(path):
        raise AtomicSysError(f"{path} is there and is not a regular file")
    if not os.path.isdir(directory):
        raise AtomicSysError(f"{path}: there is no directory {directory}")
    return directory, name
