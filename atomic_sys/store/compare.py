# SPDX-License-Identifier: LGPL-2.1-or-later
"""A checkout against the tree it was made from: every file hashed, and put back from the store.

A checkout shares its files with the store, so one that was written to has damaged its object too;
it can be put back only when the object is whole again.
"""

import contextlib
import os
import stat
from collections.abc import Callable, Collection, Iterator
from enum import Enum

from atomic_sys.errors import AtomicSysError, Damaged
from atomic_sys.frozen import frozen
from atomic_sys.fs.atomic import temporary_name
from atomic_sys.fs.directory import component, opened, remove_tree
from atomic_sys.model.layer import LayerPath
from atomic_sys.store.checkout import Checkout
from atomic_sys.store.integrity import ObjectHasher, ObjectName, is_intact, xattrs
from atomic_sys.store.objects import Checksum, ObjectKind
from atomic_sys.store.repository import Mode, Repository, object_path
from atomic_sys.store.tree import Directory, Node


class Change(Enum):
    """What became of a name."""

    MISSING = "missing"
    ADDED = "added"
    CHANGED = "changed"


@frozen
class Difference:
    """A name that is not as it was checked out; `wanted` is its node, None where there was none."""

    path: LayerPath
    change: Change
    wanted: Node | None


class Comparison:
    """Compares checkouts with trees of one repository, and restores them.

    `may_be_added` tells of a path that is not in the tree whether it may be there all the same: a
    runtime makes what is missing of the mount points. `mode` is how the checkout was made, if not
    as the repository is. `damaged` are the objects that are, where all have just been hashed: then
    a file that is an object, by a hard link, is not hashed again.
    """

    def __init__(
        self,
        repository: Repository,
        may_be_added: Callable[[LayerPath], bool],
        mode: Mode | None = None,
        damaged: Collection[ObjectName] | None = None,
    ) -> None:
        self.repository = repository
        self._damaged = damaged
        self.mode = mode or repository.mode
        self._may_be_added = may_be_added
        self._hasher = ObjectHasher(repository, mode)

    def differences(self, root: Directory, dfd: int, name: str) -> Iterator[Difference]:
        """What differs in the directory `name` below `dfd`, parents first. Raises OSError."""
        try:
            with opened(dfd, name) as fd:
                yield from self.differences_in(root, fd)
        except (FileNotFoundError, NotADirectoryError):
            yield Difference(path=(), change=Change.MISSING, wanted=root)

    def differences_in(self, root: Directory, fd: int) -> Iterator[Difference]:
        """The same for an open directory."""
        return self._directory(root, fd, ())

    def _directory(self, wanted: Directory, fd: int, path: LayerPath) -> Iterator[Difference]:
        if not self._same_metadata(wanted, fd):
            yield Difference(path=path, change=Change.CHANGED, wanted=wanted)
        found = set(os.listdir(fd))
        for name in sorted(found - wanted.nodes.keys()):
            if not self._may_be_added((*path, name)):
                yield Difference(path=(*path, name), change=Change.ADDED, wanted=None)
        for name, node in sorted(wanted.nodes.items()):
            here = (*path, name)
            if name not in found:
                yield Difference(path=here, change=Change.MISSING, wanted=node)
            elif not isinstance(node, Directory):
                if not self._same_content(node, name, fd):
                    yield Difference(path=here, change=Change.CHANGED, wanted=node)
            elif stat.S_ISDIR(os.stat(name, dir_fd=fd, follow_symlinks=False).st_mode):
                with opened(fd, name) as below:
                    yield from self._directory(node, below, here)
            else:
                yield Difference(path=here, change=Change.CHANGED, wanted=node)

    def _same_metadata(self, wanted: Directory, fd: int) -> bool:
        info, metadata = os.fstat(fd), wanted.metadata
        if self.mode is Mode.BARE_USER:
            return stat.S_IMODE(info.st_mode) == metadata.mode | stat.S_IRWXU
        return (info.st_uid, info.st_gid, stat.S_IMODE(info.st_mode), xattrs(fd)) == (
            metadata.uid,
            metadata.gid,
            metadata.mode,
            metadata.xattrs,
        )

    def _same_content(self, content: Checksum, name: str, fd: int) -> bool:
        try:
            info = os.stat(name, dir_fd=fd, follow_symlinks=False)
            if self.mode is Mode.BARE_USER:
                if stat.S_ISLNK(info.st_mode):  # made anew, for the object is a file there
                    target = self.repository.content_info(content).target
                    return os.readlink(name, dir_fd=fd) == target
                if info.st_size == 0:  # the same, and without the object's attribute
                    known = self.repository.content_info(content)
                    return known.target is None and known.size == 0
            if self._damaged is not None and self._is_object(info, content):
                return ObjectName(ObjectKind.FILE, content) not in self._damaged
            return self._hasher.checksum(name, fd)[0] == content
        except (Damaged, OSError):
            return False

    def _is_object(self, info: os.stat_result, content: Checksum) -> bool:
        path, objects = object_path(ObjectKind.FILE, content), self.repository.objects
        return os.path.samestat(info, os.stat(path, dir_fd=objects, follow_symlinks=False))

    def restorable(self, difference: Difference) -> bool:
        """Whether the store has, whole, the object that is to be put back."""
        wanted = difference.wanted
        if wanted is None or isinstance(wanted, Directory):
            return True
        return is_intact(self._hasher, ObjectName(ObjectKind.FILE, wanted))

    def restore(self, difference: Difference, dfd: int) -> None:
        """Put one name back as it was; `dfd` is the directory of the checkout.

        From one moment to the next where it is a file; what was added is removed. Raises Damaged
        for an object that is not there, OSError.
        """
        checkout = Checkout(self.repository)
        wanted = difference.wanted
        if not difference.path:
            if isinstance(wanted, Directory):
                checkout.dress_directory(dfd, wanted.metadata)
            return
        *above, name = difference.path
        with _opened_below(dfd, tuple(above)) as fd:
            if wanted is None:
                remove_tree(fd, name)
            elif isinstance(wanted, Directory):
                _restore_directory(checkout, wanted, fd, name)
            else:
                _restore_leaf(checkout, wanted, fd, name)


@contextlib.contextmanager
def _opened_below(dfd: int, path: LayerPath) -> Iterator[int]:
    if not path:
        yield dfd
        return
    with opened(dfd, path[0]) as fd, _opened_below(fd, path[1:]) as below:
        yield below


def _restore_directory(checkout: Checkout, wanted: Directory, fd: int, name: str) -> None:
    try:
        is_directory = stat.S_ISDIR(os.stat(name, dir_fd=fd, follow_symlinks=False).st_mode)
    except FileNotFoundError:
        is_directory = False
    if is_directory:
        with opened(fd, name) as below:
            checkout.dress_directory(below, wanted.metadata)
        return
    temporary = temporary_name(component(name))
    os.mkdir(temporary, 0o700, dir_fd=fd)
    try:
        with opened(fd, temporary) as below:
            checkout.fill(below, wanted)
        remove_tree(fd, name)
        os.rename(temporary, name, src_dir_fd=fd, dst_dir_fd=fd)
    except BaseException:
        with contextlib.suppress(OSError, AtomicSysError):
            remove_tree(fd, temporary)
        raise


def _restore_leaf(checkout: Checkout, content: Checksum, fd: int, name: str) -> None:
    temporary = temporary_name(component(name))
    checkout.leaf(fd, temporary, content)
    try:
        if stat.S_ISDIR(os.stat(name, dir_fd=fd, follow_symlinks=False).st_mode):
            remove_tree(fd, name)
    except FileNotFoundError:
        pass
    os.rename(temporary, name, src_dir_fd=fd, dst_dir_fd=fd)
    with contextlib.suppress(FileNotFoundError):
        os.unlink(temporary, dir_fd=fd)  # rename(2) of two links to one inode does nothing
