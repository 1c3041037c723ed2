# SPDX-License-Identifier: LGPL-2.1-or-later
"""The entries of a layer, between whoever reads tar and whoever stores content.

A path is a tuple of checked components: never empty ones, `.`, `..`, slashes or NUL; the root
itself is `()`. Whiteouts are entries of their own kind, so no name with the `.wh.` prefix passes
this border.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol, TypeAlias

LayerPath: TypeAlias = tuple[str, ...]
Piece: TypeAlias = bytes | memoryview  # of a content
Xattrs: TypeAlias = tuple[tuple[bytes, bytes], ...]  # (name, value), sorted by name


class Metadata(NamedTuple):
    """Owner, permission bits (0o7777 at most) and extended attributes.

    A tuple, since one is looked up for each file: of a dataclass the hash would be Python's work.
    """

    uid: int
    gid: int
    mode: int
    xattrs: Xattrs = ()


class RegularFile(NamedTuple):
    """A file of `size` bytes, whose content follows in the stream.

    A tuple, since nearly all entries are of this kind, and it is made in a third of the time.
    """

    path: LayerPath
    metadata: Metadata
    size: int


@dataclass(frozen=True, slots=True)
class Directory:
    """A directory; for one that is there already only its metadata changes."""

    path: LayerPath
    metadata: Metadata


@dataclass(frozen=True, slots=True)
class Symlink:
    """A symbolic link; the target is never followed here."""

    path: LayerPath
    metadata: Metadata
    target: str


@dataclass(frozen=True, slots=True)
class HardLink:
    """A further name of a file of this layer or of one below."""

    path: LayerPath
    target: LayerPath


@dataclass(frozen=True, slots=True)
class Whiteout:
    """Whatever the layers below have at this path is gone (image-spec layer.md, "Whiteouts")."""

    path: LayerPath


@dataclass(frozen=True, slots=True)
class OpaqueWhiteout:
    """Whatever the layers below have in this directory is gone; what this layer brings stays."""

    path: LayerPath


@dataclass(frozen=True, slots=True)
class SpecialFile:
    """A device, FIFO or socket: the store's format cannot hold it. Reported and left out."""

    path: LayerPath
    kind: str


Entry: TypeAlias = (
    RegularFile | Directory | Symlink | HardLink | Whiteout | OpaqueWhiteout | SpecialFile
)
# The content of a RegularFile must be consumed before the next entry is asked for; of the others it
# is empty. The stream is to be believed only once it has ended without an error: digests come last.
LayerStream: TypeAlias = Iterator[tuple[Entry, Iterable[Piece]]]


class TarRecorder(Protocol):
    """Is told, in order, what of a layer's archive is no content, and where contents belong."""

    def literals(self, pieces: Sequence[bytes]) -> None:
        """The next bytes of the archive that are no content of a RegularFile, one piece at least.

        Behind each piece but the last one the content of the next RegularFile belongs.
        """
