# SPDX-License-Identifier: LGPL-2.1-or-later
"""How much of the store an image has for itself, and how much it shares with other images.

Counted is the content of all files that its refs lead to, each object once: what two images have in
common is found file by file, also where their layers differ. Trees are read for it, and objects
only looked at. That depends on nothing but the commits, so it is kept beside them until they are
other ones: who lists images pays for it once after each change.
"""

import contextlib
import hashlib
import json
import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from atomic_sys.errors import AtomicSysError
from atomic_sys.frozen import frozen
from atomic_sys.fs.atomic import read_file, write_file
from atomic_sys.fs.directory import make_directories, open_directory
from atomic_sys.model import strict_json
from atomic_sys.model.digest import Digest
from atomic_sys.model.strict_json import InvalidJson
from atomic_sys.store.dirtree import DirTree, decode_dirtree
from atomic_sys.store.images import StoredImage, blob_ref, rootfs_ref, tar_ref
from atomic_sys.store.objects import Checksum, ObjectKind
from atomic_sys.store.repository import OWN, Repository, object_path

_FILE = "sizes.json"
_LIMIT = 16 << 20  # bytes of that file


@frozen
class Sizes:
    """Bytes; `unique` is what only this image has, whatever it is called."""

    shared: int
    unique: int


def sizes_of(repository: Repository, images: Sequence[StoredImage]) -> Mapping[Digest, Sizes]:
    """The sizes of images by their digests; one with something missing or damaged is left out."""
    commits = {image.digest: _commits(repository, image) for image in images}
    state = _state(commits)
    known = _remembered(repository, state)
    if known is None:
        known = _count(repository, commits)
        if len(known) == len(commits):  # else a repair would not show
            _remember(repository, state, known)
    return known


def _commits(repository: Repository, image: StoredImage) -> frozenset[Checksum]:
    refs = [rootfs_ref(image.digest)]
    refs += [ref(layer) for layer in image.layers for ref in (blob_ref, tar_ref)]
    if image.config_digest is not None:
        refs.append(blob_ref(image.config_digest))
    found = (_read_ref(repository, ref) for ref in refs)
    return frozenset({bytes.fromhex(image.commit), *(name for name in found if name is not None)})


def _read_ref(repository: Repository, ref: str) -> Checksum | None:
    with contextlib.suppress(AtomicSysError):
        return repository.read_ref(ref)
    return None


def _state(commits: Mapping[Digest, frozenset[Checksum]]) -> str:
    """What the sizes depend on, in short."""
    lines = [
        f"{digest} {' '.join(sorted(c.hex() for c in own))}" for digest, own in commits.items()
    ]
    return hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()


def _count(
    repository: Repository, commits: Mapping[Digest, frozenset[Checksum]]
) -> dict[Digest, Sizes]:
    contents = _Contents(repository)
    found: dict[Digest, frozenset[Checksum]] = {}
    for digest, own in commits.items():
        with contextlib.suppress(AtomicSysError, OSError):
            files = contents.of_commits(own)
            contents.look_at(files)
            found[digest] = files
    users = Counter(name for files in found.values() for name in files)
    sizes = contents.sizes
    result = {}
    for digest, files in found.items():
        whole = sum(sizes[name] for name in files)
        unique = sum(sizes[name] for name in files if users[name] == 1)
        result[digest] = Sizes(shared=whole - unique, unique=unique)
    return result


class _Contents:
    """The content objects of trees; each tree is read, and each object looked at, once."""

    def __init__(self, repository: Repository) -> None:
        self.sizes: dict[Checksum, int] = {}
        self._repository = repository
        self._trees: dict[Checksum, DirTree] = {}

    def of_commits(self, commits: Iterable[Checksum]) -> frozenset[Checksum]:
        """All of these commits. Raises Damaged."""
        files: set[Checksum] = set()
        seen: set[Checksum] = set()
        todo = [self._repository.commit(name).root_tree for name in commits]
        while todo:
            name = todo.pop()
            if name in seen:
                continue
            seen.add(name)
            tree = self._tree(name)
            files.update(content for _, content in tree.files)
            todo.extend(below for _, below, _ in tree.directories)
        return frozenset(files)

    def _tree(self, name: Checksum) -> DirTree:
        tree = self._trees.get(name)
        if tree is None:
            content = self._repository.read_metadata(ObjectKind.DIRTREE, name)
            tree = self._trees[name] = decode_dirtree(content)
        return tree

    def look_at(self, files: Iterable[Checksum]) -> None:
        """Learn the sizes of these. Raises OSError for one that is not there."""
        objects = self._repository.objects
        for name in files:
            if name not in self.sizes:
                path = object_path(ObjectKind.FILE, name)
                self.sizes[name] = os.stat(path, dir_fd=objects, follow_symlinks=False).st_size


def _remembered(repository: Repository, state: str) -> dict[Digest, Sizes] | None:
    """What was counted for exactly this state; a file that makes no sense is as good as none."""
    try:
        fd = open_directory(repository.fd, OWN)
        try:
            document = read_file(fd, _FILE, _LIMIT)
        finally:
            os.close(fd)
        body = strict_json.as_object(strict_json.loads(document or b"", _FILE), _FILE)
        if body.get("state") != state:
            return None
        rows = strict_json.as_object(body.get("images"), _FILE)
        return {Digest.parse(text): _row(row) for text, row in rows.items()}
    except (AtomicSysError, OSError):
        return None


def _row(row: strict_json.Json) -> Sizes:
    match row:
        case [int() as shared, int() as unique]:
            return Sizes(shared=shared, unique=unique)
        case _:
            raise InvalidJson(f"{_FILE}: no sizes")


def _remember(repository: Repository, state: str, known: Mapping[Digest, Sizes]) -> None:
    """Keep it for the next time, where that is possible."""
    images = {str(digest): [sizes.shared, sizes.unique] for digest, sizes in known.items()}
    document = json.dumps({"state": state, "images": images}).encode()
    with contextlib.suppress(OSError):
        fd = make_directories(repository.fd, OWN)
        try:
            write_file(fd, _FILE, document)
        finally:
            os.close(fd)
