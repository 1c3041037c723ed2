# SPDX-License-Identifier: LGPL-2.1-or-later
"""A layer's tar archive, byte for byte, out of the store: its skeleton and the objects.

The skeleton is a commit of its own, `ocitar/HEX`, so that the layer's commit and its tree stay what
they are to everybody else. Its tree has `literals`, all bytes of the archive that are no content;
`places`, where among them which content belongs; and `overwritten/`, the contents that the layer's
own tree does not have, since a later member took their name. The first two are zlib streams
(RFC 1950), for zstandard need not be there.

A place is two little-endian 64-bit numbers: how many literal bytes come before it, and how far its
content is from the one before, counted in the order of the layer's tree and then of `overwritten/`.
In an archive of sorted names that is always one, so compressed a place is next to nothing.
"""

import contextlib
import operator
import os
import struct
import sys
import tempfile
import zlib
from array import array
from collections.abc import Iterable, Iterator, Sequence
from typing import IO

from atomic_sys.errors import Damaged, NotFound
from atomic_sys.frozen import frozen
from atomic_sys.model.digest import Digest
from atomic_sys.model.layer import Metadata
from atomic_sys.store.commits import TreeReader, store_commit
from atomic_sys.store.images import blob_ref, tar_ref
from atomic_sys.store.objects import Checksum, Commit
from atomic_sys.store.repository import Repository
from atomic_sys.store.rootfs import commit_of
from atomic_sys.store.transaction import Transaction
from atomic_sys.store.tree import IMPLIED, Directory

SIZE_KEY = "atomic-sys.tar-size"  # of the whole archive, in bytes
_LITERALS, _PLACES, _OVERWRITTEN = "literals", "places", "overwritten"
_DOCUMENT = Metadata(0, 0, 0o644)
_IN_MEMORY = 4 << 20  # compressed bytes; what is more goes to an unnamed file
_LEVEL = 1  # headers are mostly zeros: a higher one costs more than it saves
_PLACE = struct.Struct("<qq")
_CHUNK = 1 << 18  # bytes


class SkeletonWriter:
    """Takes a layer's literal bytes while it is imported; see model.layer.TarRecorder."""

    def __init__(self, spool: IO[bytes]) -> None:
        self._file = spool
        # isal would take a sixth of the time, but what it makes depends on the pieces it gets, and
        # these on how the layer came: the same layer is to be the same objects.
        self._stream = zlib.compressobj(_LEVEL)
        self._run = 0  # literal bytes since the last content
        self._runs = array("q")

    def literals(self, pieces: Sequence[bytes]) -> None:
        """The next bytes of the archive that are no content, which belongs between the pieces."""
        runs = [len(piece) for piece in pieces]
        runs[0] += self._run
        self._run = runs.pop()
        self._runs.extend(runs)
        self._file.write(self._stream.compress(b"".join(pieces)))

    def store(
        self, transaction: Transaction, layer: Directory, contents: Sequence[Checksum], size: int
    ) -> Checksum:
        """Store the skeleton of the layer whose commit has this tree.

        `contents` are the objects of its regular files in the order of the archive, `size` how many
        bytes they have in all. Raises OSError.
        """
        if len(contents) != len(self._runs):
            raise AssertionError("the recorder and the importer saw other files")
        self._file.write(self._stream.flush())
        places, overwritten = _encode(self._runs, contents, _leaves(layer))
        root = Directory(IMPLIED)
        root.nodes[_LITERALS] = self._store_literals(transaction)
        packed = zlib.compress(places)
        root.nodes[_PLACES] = transaction.add_file(_DOCUMENT, len(packed), (packed,))
        if overwritten:
            root.nodes[_OVERWRITTEN] = Directory(
                IMPLIED, {f"{number:010}": item for number, item in enumerate(overwritten)}
            )
        total = size + sum(self._runs) + self._run
        return store_commit(transaction, root, {SIZE_KEY: str(total)})

    def _store_literals(self, transaction: Transaction) -> Checksum:
        size = self._file.tell()
        self._file.seek(0)
        return transaction.add_file(_DOCUMENT, size, iter(lambda: self._file.read(_CHUNK), b""))


def _encode(
    runs: "array[int]", contents: Sequence[Checksum], leaves: Iterable[Checksum]
) -> tuple[bytes, list[Checksum]]:
    """The places, and the contents that are none of the leaves."""
    order = list(dict.fromkeys(leaves))
    known = set(order)
    overwritten = [content for content in dict.fromkeys(contents) if content not in known]
    number = {content: at for at, content in enumerate((*order, *overwritten))}
    at = [number[content] for content in contents]
    steps = map(operator.sub, at, (-1, *at))
    places = array("q", [0]) * (2 * len(runs))
    places[0::2] = runs
    places[1::2] = array("q", steps)
    if sys.byteorder == "big":
        places.byteswap()
    return places.tobytes(), overwritten


@contextlib.contextmanager
def recording(repository: Repository) -> Iterator[SkeletonWriter]:
    """A writer for one layer, for its stream and for Store.import_layer(). Raises OSError."""
    tmp = os.path.join(f"/proc/self/fd/{repository.fd}", "tmp")
    with tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY, dir=tmp) as spool:
        yield SkeletonWriter(spool)


@frozen
class LayerTar:
    """A layer's uncompressed archive. `size` is in bytes, `diff_id` the digest it must have."""

    digest: Digest
    diff_id: Digest
    size: int
    repository: Repository
    layer: Commit
    skeleton: Commit

    def chunks(self) -> Iterator[bytes]:
        """The archive; to be believed only by its diff id. Raises Damaged, OSError."""
        reader = TreeReader(self.repository)
        skeleton = reader.load(self.skeleton)
        overwritten = skeleton.nodes.get(_OVERWRITTEN)
        extra = _leaves(overwritten) if isinstance(overwritten, Directory) else []
        leaves = [*dict.fromkeys(_leaves(reader.load(self.layer))), *extra]
        with (
            _Unpacked(self.repository, skeleton, _LITERALS) as literals,
            _Unpacked(self.repository, skeleton, _PLACES) as places,
        ):
            yield from _gathered(self._pieces(literals, places, leaves))

    def _pieces(
        self, literals: "_Unpacked", places: "_Unpacked", leaves: list[Checksum]
    ) -> Iterator[bytes]:
        at = -1
        while place := b"".join(places.take(_PLACE.size)):
            run, step = _PLACE.unpack(place)
            yield from literals.take(run)
            at += step
            if not 0 <= at < len(leaves):
                raise Damaged(f"layer {self.digest}: its skeleton is damaged")
            yield from self._content(leaves[at])
        yield from literals.rest()

    def _content(self, name: Checksum) -> Iterator[bytes]:
        fd = self.repository.open_content(name)
        try:
            while chunk := os.read(fd, _CHUNK):
                yield chunk
        finally:
            os.close(fd)


def layer_tar(repository: Repository, digest: Digest) -> LayerTar:
    """The archive of the layer with this blob digest, uncompressed.

    Raises NotFound for a layer that is not here, or was imported without a skeleton; Damaged.
    """
    found = commit_of(repository, blob_ref(digest))
    if found is None:
        raise NotFound(f"layer {digest} is not in the store", hint="pull the image again")
    layer = found[1]
    kept = commit_of(repository, tar_ref(digest))
    diff_id = layer.text("docker.uncompressed_digest")
    size = None if kept is None else kept[1].text(SIZE_KEY)
    if kept is None or diff_id is None or size is None:
        raise NotFound(
            f"layer {digest} was stored without what it takes to make its archive again",
            hint="delete the image, prune, and pull it again",
        )
    if not size.isdecimal():
        raise Damaged(f"layer {digest}: its skeleton is damaged")
    return LayerTar(
        digest=digest,
        diff_id=Digest.parse(diff_id),
        size=int(size),
        repository=repository,
        layer=layer,
        skeleton=kept[1],
    )


class _Unpacked:
    """A compressed file of a skeleton, read in pieces."""

    def __init__(self, repository: Repository, skeleton: Directory, name: str) -> None:
        node = skeleton.nodes.get(name)
        if not isinstance(node, bytes):
            raise Damaged(f"the skeleton of a layer has no {name}")
        self._file = os.fdopen(repository.open_content(node), "rb")
        self._stream = zlib.decompressobj()
        self._ready = memoryview(b"")

    def __enter__(self) -> "_Unpacked":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def _read(self, size: int) -> bytes:
        """At most `size` bytes, none at the end. Raises Damaged."""
        while not self._ready and not self._stream.eof:
            data = self._stream.unconsumed_tail or self._file.read(_CHUNK)
            try:
                self._ready = memoryview(self._stream.decompress(data, _CHUNK))
            except zlib.error as error:
                raise Damaged(f"the skeleton of a layer is damaged: {error}") from None
            if not data and not self._ready:
                raise Damaged("the skeleton of a layer is damaged: it is cut off")
        piece, self._ready = self._ready[:size], self._ready[size:]
        return bytes(piece)

    def take(self, size: int) -> Iterator[bytes]:
        """Exactly so many bytes, or none at the end. Raises Damaged."""
        left = size
        while left:
            data = self._read(min(left, _CHUNK))
            if not data and left == size:
                return
            if not data:
                raise Damaged("the skeleton of a layer is damaged: it is too short")
            left -= len(data)
            yield data

    def rest(self) -> Iterator[bytes]:
        """All that is left."""
        return iter(lambda: self._read(_CHUNK), b"")


def _leaves(directory: Directory) -> list[Checksum]:
    """The contents of a tree in the order of their names, directories where theirs are."""
    found: list[Checksum] = []
    for _, node in sorted(directory.nodes.items()):
        if isinstance(node, Directory):
            found += _leaves(node)
        else:
            found.append(node)
    return found


def _gathered(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The same bytes in chunks that are worth handling."""
    batch = bytearray()
    for piece in pieces:
        batch += piece
        if len(batch) >= _CHUNK:
            yield bytes(batch)
            batch.clear()
    if batch:
        yield bytes(batch)
