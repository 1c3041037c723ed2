# SPDX-License-Identifier: LGPL-2.1-or-later
"""Check the whole store: every object, every ref, and what each image needs.

Objects are hashed by as many processes as there are processors: most of them are small, and then it
is the interpreter that takes the time, which threads would share. Nothing is changed here.
"""

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator, Sequence

from atomic_sys.errors import AtomicSysError
from atomic_sys.frozen import frozen
from atomic_sys.fs.directory import opened
from atomic_sys.fs.orphans import die_with_parent
from atomic_sys.fs.workers import Job, Tell, processors, run_all
from atomic_sys.store.dirtree import decode_dirtree
from atomic_sys.store.images import IMAGES, ROOTFS, blob_ref, decode_name, is_blob, read_image
from atomic_sys.store.integrity import (
    ObjectHasher,
    ObjectName,
    is_intact,
    is_unfinished,
    object_name,
    prefixes,
    size_if_intact,
)
from atomic_sys.store.objects import Checksum, ObjectKind, decode_commit
from atomic_sys.store.partial import is_partial
from atomic_sys.store.recovery import has_live_marks
from atomic_sys.store.repository import Repository
from atomic_sys.store.tree import MAX_DEPTH

_PARTS = 4  # for each process, so that they end at about the same time
_NONE: frozenset[ObjectName] = frozenset()


@frozen
class Checked:
    """Objects that were hashed: all of them, their bytes, and those that are not what they say."""

    names: frozenset[ObjectName]
    bytes: int
    damaged: frozenset[ObjectName]


@frozen
class BrokenRef:
    """A ref that does not lead to all it should: the objects that are damaged or missing."""

    ref: str
    commit: Checksum
    objects: frozenset[ObjectName]


@frozen
class FsckReport:
    """What a check of the store found.

    `incomplete` has the refs that an image needs and the store lacks, by the names of the images.
    """

    objects: int
    bytes: int
    refs: int
    damaged: frozenset[ObjectName]
    broken: tuple[BrokenRef, ...]
    incomplete: tuple[tuple[str, str], ...]

    @property
    def needed(self) -> frozenset[ObjectName]:
        """The damaged or missing objects that a ref leads to."""
        return frozenset().union(*(ref.objects for ref in self.broken))

    @property
    def strays(self) -> frozenset[ObjectName]:
        """The damaged objects that nothing needs, as far as can be seen."""
        return self.damaged - self.needed

    @property
    def unreadable(self) -> frozenset[ObjectName]:
        """The damaged commits of our own images and layers: nobody can tell what they were."""
        ours = [ref.objects for ref in self.broken if ref.ref.startswith((IMAGES, ROOTFS))]
        found = self.damaged & frozenset().union(*ours)
        return frozenset(name for name in found if name.kind is ObjectKind.COMMIT)

    @property
    def missing(self) -> frozenset[ObjectName]:
        """The objects that something needs and that are not there."""
        return self.needed - self.damaged

    @property
    def clean(self) -> bool:
        """Whether nothing is wrong."""
        return not (self.damaged or self.broken or self.incomplete)


def fsck(repository: Repository, advance: Callable[[int], None]) -> FsckReport:
    """Check everything. The caller holds the lock, shared at least: others may be writing.

    `advance` is told how many objects more have been checked. Raises Damaged for a ref that is
    none, OSError.
    """
    refs = tuple(_all_refs(repository))  # first: what these need is here by now
    checked = check_objects(repository, advance)
    whole, partial = _Reach(repository, checked), _PartialReach(repository, checked)
    broken = [
        BrokenRef(ref=ref, commit=commit, objects=lost)
        for ref, commit in refs
        if (lost := (partial if is_partial(repository, commit) else whole).from_commit(commit))
    ]
    needed = _NONE.union(*(ref.objects for ref in broken))
    unfinished = _being_written(repository, checked.damaged - needed)
    return FsckReport(
        objects=len(checked.names),
        bytes=checked.bytes,
        refs=len(refs),
        damaged=checked.damaged - unfinished,
        broken=tuple(broken),
        incomplete=tuple(_incomplete(repository, dict(refs))),
    )


def _all_refs(repository: Repository) -> Iterator[tuple[str, Checksum]]:
    yield from repository.refs()
    for below in ("remotes", "mirrors"):
        for ref, commit in repository.refs(f"refs/{below}"):
            yield f"{below}/{ref}", commit


def _incomplete(repository: Repository, refs: dict[str, Checksum]) -> Iterator[tuple[str, str]]:
    """The layers and configs that images name and that have no ref."""
    for image_ref, commit in refs.items():
        encoded = image_ref.removeprefix(IMAGES)
        if encoded == image_ref or is_blob(encoded):
            continue
        name = decode_name(encoded)
        try:
            image = read_image(name, commit, repository.commit(commit))
        except AtomicSysError:
            continue  # the commit itself is broken, which is said already
        config = () if image.config_digest is None else (image.config_digest,)
        for digest in (*image.layers, *config):
            ref = blob_ref(digest)
            if ref not in refs and repository.read_ref(ref) is None:  # it may have come since
                yield str(name), ref


def _being_written(repository: Repository, strays: Iterable[ObjectName]) -> frozenset[ObjectName]:
    """Those of these damaged objects that somebody was about to finish when they were looked at."""
    busy = has_live_marks(repository)  # before the second look: what was finished by then is whole
    hasher = ObjectHasher(repository)
    return frozenset(
        name for name in strays if is_intact(hasher, name) or (busy and is_unfinished(hasher, name))
    )


class _Reach:
    """Which damaged or missing objects a commit leads to; each tree is looked at once."""

    def __init__(self, repository: Repository, checked: Checked) -> None:
        self.repository = repository
        self.intact = checked.names - checked.damaged
        self._trees: dict[Checksum, frozenset[ObjectName]] = {}

    def from_commit(self, checksum: Checksum) -> frozenset[ObjectName]:
        name = ObjectName(ObjectKind.COMMIT, checksum)
        if name not in self.intact:
            return frozenset({name})
        try:
            commit = decode_commit(self.repository.read_metadata(*name))
        except AtomicSysError:  # the right bytes, but no commit
            return frozenset({name})
        root = self._lost(ObjectKind.DIRMETA, commit.root_metadata)
        return root | self._tree(commit.root_tree, 0)

    def _lost(self, kind: ObjectKind, checksum: Checksum) -> frozenset[ObjectName]:
        name = ObjectName(kind, checksum)
        return _NONE if name in self.intact else frozenset({name})

    def _lost_content(self, checksum: Checksum) -> frozenset[ObjectName]:
        return self._lost(ObjectKind.FILE, checksum)

    def _tree(self, checksum: Checksum, depth: int) -> frozenset[ObjectName]:
        known = self._trees.get(checksum)
        if known is None:
            known = self._trees[checksum] = self._look(checksum, depth)
        return known

    def _look(self, checksum: Checksum, depth: int) -> frozenset[ObjectName]:
        name = ObjectName(ObjectKind.DIRTREE, checksum)
        if name not in self.intact or depth > MAX_DEPTH:
            return frozenset({name})
        try:
            tree = decode_dirtree(self.repository.read_metadata(*name))
        except AtomicSysError:
            return frozenset({name})
        lost = _NONE
        for _, content in tree.files:
            lost |= self._lost_content(content)
        for _, below, metadata in tree.directories:
            lost |= self._lost(ObjectKind.DIRMETA, metadata) | self._tree(below, depth + 1)
        return lost


class _PartialReach(_Reach):
    """The same for commits that may lack contents: what is there of them has to be whole."""

    def __init__(self, repository: Repository, checked: Checked) -> None:
        super().__init__(repository, checked)
        self._damaged = checked.damaged

    def _lost_content(self, checksum: Checksum) -> frozenset[ObjectName]:
        name = ObjectName(ObjectKind.FILE, checksum)
        return frozenset({name}) if name in self._damaged else _NONE


def check_objects(
    repository: Repository, advance: Callable[[int], None], *, workers: int | None = None
) -> Checked:
    """Hash all objects; `advance` is told the number of objects after each part of them.

    `workers` is how many processes to use, by default one for each processor that we may use. They
    share nothing: one that is killed cannot take a lock of the others with it. Raises
    AtomicSysError when one of them dies, OSError.
    """
    count = workers or processors()
    found: list[Checked] = []
    every = prefixes(repository)
    parent = os.getpid()

    def job(part: Sequence[str]) -> Job[Checked]:
        return Job(
            run=lambda tell: _check(repository, part, tell, parent),
            telling=contextlib.nullcontext(advance),
            done=found.append,
        )

    parts = count * _PARTS
    run_all([job(every[n::parts]) for n in range(parts) if every[n::parts]], count)
    return Checked(
        names=frozenset().union(*(one.names for one in found)),
        bytes=sum(one.bytes for one in found),
        damaged=frozenset().union(*(one.damaged for one in found)),
    )


def _check(repository: Repository, part: Sequence[str], tell: Tell, parent: int) -> Checked:
    """What one process does."""
    die_with_parent(parent)
    hasher = ObjectHasher(repository)
    found = []
    for prefix in part:
        found.append(_check_prefix(hasher, prefix))
        tell(len(found[-1].names))
    return Checked(
        names=frozenset().union(*(one.names for one in found)),
        bytes=sum(one.bytes for one in found),
        damaged=frozenset().union(*(one.damaged for one in found)),
    )


def _check_prefix(hasher: ObjectHasher, prefix: str) -> Checked:
    repository = hasher.repository
    names: set[ObjectName] = set()
    damaged: set[ObjectName] = set()
    total = 0
    with opened(repository.objects, prefix) as fd:
        for file in os.listdir(fd):
            name = object_name(prefix, file)
            if name is None:
                continue
            names.add(name)
            size = size_if_intact(hasher, name, file, fd)
            if size is None:
                damaged.add(name)
            else:
                total += size
    return Checked(names=frozenset(names), bytes=total, damaged=frozenset(damaged))
