# SPDX-License-Identifier: LGPL-2.1-or-later
"""A layer blob as typed entries with checked paths; nothing here ever touches a file system.

Duplicate paths come out as often as they are in the archive: whoever builds the tree lets the last
one win. The stream is read to its end, past the end of the archive, before it ends without an
error, so that size, digest and diff id have been checked by then.
"""

import contextlib
import hashlib
from collections.abc import Generator, Iterable
from typing import assert_never

from atomic_sys.image.ahead import read_ahead
from atomic_sys.image.decompress import decompressed
from atomic_sys.image.layer_path import WHITEOUT, Paths, decoded, whiteout
from atomic_sys.image.skeleton import RecordedInput
from atomic_sys.image.tar import TarInput, TarReader
from atomic_sys.image.tar_header import InvalidLayer, Kind, Member, exceeded
from atomic_sys.model.digest import Digest
from atomic_sys.model.layer import (
    Directory,
    Entry,
    HardLink,
    LayerPath,
    LayerStream,
    RegularFile,
    SpecialFile,
    Symlink,
    TarRecorder,
)
from atomic_sys.model.limits import DEFAULT_LIMITS, ENTRIES, UNPACKED, LayerLimits
from atomic_sys.model.stream import ContentMismatch

_FILE = Kind.REGULAR


def read_layer(
    chunks: Iterable[bytes],
    *,
    diff_id: Digest | None,
    limits: LayerLimits = DEFAULT_LIMITS,
    recorder: TarRecorder | None = None,
) -> LayerStream:
    """The entries of a layer, from its blob; without a diff id, none is computed.

    A recorder is told what else the archive is made of; see image/skeleton.py.

    Closing the stream early closes `chunks` too. Raises InvalidLayer (LimitExceeded),
    InvalidCompression, ContentMismatch for another diff id, and whatever `chunks` raises.
    """
    with contextlib.closing(read_ahead(_unpacked(chunks, diff_id, limits))) as stream:
        source = TarInput(stream) if recorder is None else RecordedInput(stream, recorder)
        paths = Paths(limits)
        left = limits.entries
        for member in TarReader(source, limits.header).members():
            left -= 1
            if left < 0:
                raise exceeded(f"more than {limits.entries} entries in one layer", ENTRIES)
            entry = _entry(member, paths)
            yield entry, source.content(member.size) if type(entry) is RegularFile else ()


def _unpacked(
    chunks: Iterable[bytes], diff_id: Digest | None, limits: LayerLimits
) -> Generator[bytes, None, None]:
    """The uncompressed stream, counted and hashed on the way."""
    hasher = None if diff_id is None else hashlib.new(diff_id.algorithm)
    left = limits.unpacked
    try:
        for chunk in decompressed(chunks):
            left -= len(chunk)
            if left < 0:
                raise exceeded(f"more than {limits.unpacked} bytes in one layer", UNPACKED)
            if hasher is not None:
                hasher.update(chunk)
            yield chunk
    finally:
        if isinstance(chunks, Generator):
            chunks.close()
    if hasher is not None and diff_id is not None and hasher.hexdigest() != diff_id.hex:
        raise ContentMismatch(f"the layer is not the one with the diff id {diff_id}")


def _entry(member: Member, paths: Paths) -> Entry:
    path = paths.parse(member.name)
    # As nearly all of them are: a file with a name like any other. As below, but it takes a third
    # of the time to make the tuple itself, and a case that names a Kind is a call.
    is_file = member.kind is _FILE and member.name[-1:] != b"/"
    if is_file and path and path[-1][:4] != WHITEOUT:
        return tuple.__new__(RegularFile, (path, member.metadata, member.size))
    return _other(member, path, paths)


def _other(member: Member, path: LayerPath, paths: Paths) -> Entry:
    kind = member.kind
    if not path:
        if kind is not Kind.DIRECTORY:
            raise InvalidLayer("the root of the layer is not a directory")
        return Directory(path, member.metadata)
    if path[-1].startswith(WHITEOUT):
        return whiteout(path)
    match kind:
        case Kind.REGULAR | Kind.OLD_REGULAR | Kind.CONTIGUOUS:
            if member.name.endswith(b"/"):
                raise InvalidLayer(f"{member.name[:255]!r} is a file, but named like a directory")
            return RegularFile(path, member.metadata, member.size)
        case Kind.DIRECTORY:
            return Directory(path, member.metadata)
        case Kind.SYMLINK:
            return _symlink(member, path)
        case Kind.HARD_LINK:
            return _hard_link(member, path, paths)
        case Kind.CHARACTER_DEVICE | Kind.BLOCK_DEVICE | Kind.FIFO:
            return SpecialFile(path, kind.name.lower().replace("_", " "))
        case _:
            assert_never(kind)


def _symlink(member: Member, path: LayerPath) -> Symlink:
    if not member.target:
        raise InvalidLayer(f"{member.name[:255]!r} is a link to nothing")
    metadata = member.metadata
    if metadata.xattrs:  # Linux gives a link none of its users' (xattr(7)): nobody could set them
        kept = tuple(item for item in metadata.xattrs if not item[0].startswith(b"user."))
        metadata = metadata._replace(xattrs=kept)
    return Symlink(path, metadata, decoded(member.target))


def _hard_link(member: Member, path: LayerPath, paths: Paths) -> HardLink:
    target = paths.target(member.target)
    if target == path:
        raise InvalidLayer(f"{member.name[:255]!r} is a hard link to itself")
    return HardLink(path, target)
