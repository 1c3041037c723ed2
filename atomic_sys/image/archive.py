# SPDX-License-Identifier: LGPL-2.1-or-later
"""The members of a tar archive as files, read in place: nothing is ever unpacked.

The archive is walked once, over its headers alone. A name that is absolute or has `..` in it, and
one that is there twice, are refused; a link leads to another member or nowhere. What is read by
digest is verified by whoever reads it, so a file that changes meanwhile gains nothing.
"""

import contextlib
import os
import posixpath
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from atomic_sys.errors import AtomicSysError
from atomic_sys.image.decompress import is_compressed
from atomic_sys.image.files import CHUNK, InvalidFile, explained, regular_file
from atomic_sys.image.tar import TarInput, TarReader
from atomic_sys.image.tar_header import InvalidLayer, Kind, Member
from atomic_sys.model.stream import Reader

MAX_MEMBERS = 100_000
_MAX_LINKS = 4  # on the way to a file; `docker save` made one
_HEADERS = 1 << 13  # bytes read at once while only headers are looked at
_REGULAR = (Kind.REGULAR, Kind.OLD_REGULAR, Kind.CONTIGUOUS)
_LINKS = (Kind.SYMLINK, Kind.HARD_LINK)


class InvalidArchive(AtomicSysError):
    """A file that is no tar archive, or one that we do not trust to be read only one way."""


@dataclass(frozen=True, slots=True)
class _Extent:
    """Where the content of a member is."""

    offset: int
    size: int


class _Section:
    """A part of an open file as a stream."""

    def __init__(self, fd: int, extent: _Extent) -> None:
        self._fd = fd
        self._at = extent.offset
        self._end = extent.offset + extent.size

    def read(self, size: int, /) -> bytes:
        """At most `size` bytes; nothing at the end, or where the file has become shorter."""
        data = os.pread(self._fd, min(size, self._end - self._at), self._at)
        self._at += len(data)
        return data


class _SeekingInput(TarInput):
    """The file as the input of a TarReader, which passes over contents without reading them."""

    __slots__ = ("_fd", "_size")

    def __init__(self, fd: int) -> None:
        super().__init__(self._blocks())
        self._fd = fd
        self._size = os.fstat(fd).st_size

    def _blocks(self) -> Iterator[bytes]:
        # By the time it is asked for more, the chunk before is used up and _start is past it.
        while chunk := os.pread(self._fd, _HEADERS, self._start):
            yield chunk

    def skip_to(self, offset: int) -> None:
        """Go on from there. Raises InvalidLayer when the file ends before."""
        if offset > self._size:
            raise InvalidLayer("the tar archive is cut off")
        if offset <= self._start + len(self._chunk):
            super().skip_to(offset)
        else:
            self._start, self._at, self._chunk = offset, 0, b""


class ArchiveFiles:
    """The files of the archive at `path`, whose own links have been followed by the caller.

    With a descriptor, that file is read, and the path only names it in messages.
    """

    def __init__(self, path: str, fd: int | None = None) -> None:
        self._path = path
        self._fd = fd
        self._lock = threading.Lock()
        self._found: Mapping[str, _Extent | str] | None = None

    @contextlib.contextmanager
    def open(self, *path: str) -> Iterator[Reader]:
        """The member at this path, links followed inside the archive.

        Raises InvalidFile, InvalidArchive.
        """
        with self._opened() as fd:
            extent = self._extent(fd, "/".join(path))
            yield _Section(fd, extent)

    @contextlib.contextmanager
    def _opened(self) -> Iterator[int]:
        if self._fd is not None:
            yield self._fd
            return
        with contextlib.ExitStack() as stack:
            with explained(self._path):
                fd = stack.enter_context(regular_file(None, self._path)).fileno()
            yield fd

    def has(self, name: str) -> bool:
        """Whether there is a regular file of this name. Raises InvalidArchive, InvalidFile."""
        with self._opened() as fd:
            try:
                self._extent(fd, name)
            except InvalidFile:
                return False
        return True

    def size(self, name: str) -> int:
        """The size in bytes of a member. Raises InvalidFile, InvalidArchive."""
        with self._opened() as fd:
            return self._extent(fd, name).size

    def _extent(self, fd: int, name: str) -> _Extent:
        with self._lock:
            if self._found is None:
                self._found = _walk(fd, self._path)
        wanted = name
        for _ in range(_MAX_LINKS + 1):
            found = self._found.get(wanted)
            if isinstance(found, _Extent):
                return found
            if found is None:
                break
            wanted = found
        raise InvalidFile(f"{name[:255]!r} is not a regular file of the archive")


def _walk(fd: int, path: str) -> Mapping[str, _Extent | str]:
    """What each name of the archive is: a content, or the name of another member."""
    if kind := is_compressed(os.pread(fd, CHUNK, 0)):
        raise InvalidArchive(f"{path} is compressed by {kind}", hint="decompress it first")
    found: dict[str, _Extent | str] = {}
    source = _SeekingInput(fd)
    try:
        for number, member in enumerate(TarReader(source).members()):
            if number == MAX_MEMBERS:
                raise InvalidLayer(f"more than {MAX_MEMBERS} members")
            if member.kind is Kind.DIRECTORY:
                continue
            name = _checked(member.name)
            if name in found:
                raise InvalidLayer(f"{name[:255]!r} is there twice")
            found[name] = _content(member, name, source.offset)
    except InvalidLayer as error:
        raise InvalidArchive(f"{path}: {error}") from None
    if not found:
        raise InvalidArchive(f"{path} is an empty archive")
    return found


def _content(member: Member, name: str, offset: int) -> _Extent | str:
    if member.kind in _REGULAR:
        return _Extent(offset, member.size)
    if member.kind not in _LINKS:
        raise InvalidLayer(f"{name[:255]!r} is neither a file nor a link")
    target = member.target.decode("utf-8", "surrogateescape")
    if member.kind is Kind.SYMLINK:
        # Absolute or not, what leads out of the archive names no member of it.
        target = posixpath.join(posixpath.dirname(name), target)
    return posixpath.normpath(target)


def _checked(raw: bytes) -> str:
    name = raw.decode("utf-8", "surrogateescape")
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if name.startswith("/") or ".." in parts or not parts:
        raise InvalidLayer(f"a member has the name {name[:255]!r}")
    return "/".join(parts)
