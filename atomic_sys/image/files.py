# SPDX-License-Identifier: LGPL-2.1-or-later
"""The files of a layout or a `dir:` image, wherever they are: in a directory, or in an archive.

In a directory no symbolic link below it is followed, and nothing but regular files is read.
"""

import contextlib
import os
import stat
from collections.abc import Generator, Iterator
from typing import BinaryIO, Protocol

from atomic_sys.errors import AtomicSysError
from atomic_sys.fs.directory import opened
from atomic_sys.model.stream import Reader

CHUNK = 1 << 18  # bytes
# Without O_NONBLOCK a FIFO in the place of a blob would make us wait for ever.
FILE = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK


class InvalidFile(AtomicSysError):
    """A file of an image that is not there, or is not one that we read."""


class Files(Protocol):
    """Files by their names; any number of threads may open some at once."""

    def open(self, *path: str) -> contextlib.AbstractContextManager[Reader]:
        """The content of the file at these components. Raises InvalidFile, AtomicSysError."""


def chunks_of(stream: Reader) -> Generator[bytes, None, None]:
    """The rest of the stream."""
    while chunk := stream.read(CHUNK):
        yield chunk


class DirectoryFiles:
    """The files below a directory."""

    def __init__(self, path: str) -> None:
        self._path = path

    @contextlib.contextmanager
    def open(self, *path: str) -> Iterator[Reader]:
        """The file, open for the length of the block. Raises InvalidFile."""
        with contextlib.ExitStack() as stack:
            with explained("/".join(path)):
                fd = os.open(self._path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
                stack.callback(os.close, fd)
                for directory in path[:-1]:
                    fd = stack.enter_context(opened(fd, directory))
                stream = stack.enter_context(regular_file(fd, path[-1]))
            yield stream


@contextlib.contextmanager
def explained(what: str) -> Iterator[None]:
    """An OSError of the block as InvalidFile."""
    try:
        yield
    except OSError as error:
        raise InvalidFile(f"{what}: {error.strerror}") from error


@contextlib.contextmanager
def regular_file(dfd: int | None, name: str) -> Iterator[BinaryIO]:
    """A regular file, open for reading. Raises OSError or InvalidFile."""
    fd = os.open(name, FILE, dir_fd=dfd)
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise InvalidFile(f"{name} is not a regular file")
        with os.fdopen(fd, "rb", buffering=0, closefd=False) as stream:
            yield stream
    finally:
        os.close(fd)
