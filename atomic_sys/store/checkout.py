# SPDX-License-Identifier: LGPL-2.1-or-later
"""A tree as files: hard links to the store's objects or copies, below one directory descriptor.

Only names from our own validated tree are made, each in a directory that we made and hold open, so
nothing that an image contains can lead anywhere else. Empty files are made anew, as libostree does:
they are the ones that get written to, and an inode has room for 65,000 links only (on ext4).

All but the tree's own root is made with the owner and the mode that it is to have: nobody else can
enter the root, which is dressed last. A large tree is made by two processes, each with about half
of the directories: links are made by the kernel, one at a time for each.
"""

import contextlib
import errno
import os
import stat
from collections.abc import Iterator, Sequence
from enum import Enum

from atomic_sys.errors import AtomicSysError
from atomic_sys.fs.atomic import umask, write_all
from atomic_sys.fs.directory import component, opened, remove_tree
from atomic_sys.fs.workers import Job, Tell, processors, run_all
from atomic_sys.model.layer import LayerPath, Metadata
from atomic_sys.store.integrity import xattrs
from atomic_sys.store.objects import Checksum, ObjectKind
from atomic_sys.store.parts import Part, count, shares, split
from atomic_sys.store.repository import ContentInfo, Mode, Repository, object_path
from atomic_sys.store.tree import Directory
from atomic_sys.store.view import Tree

_CHUNK = 1 << 20
_CLOSED = 0o700  # the mode of a directory that is not complete
_NEW = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NOFOLLOW
_EPOCH = (0, 0)
_LARGE = 5_000  # nodes from which on a second process is worth its start
_PROCESSES = 2  # a third one would wait for the same locks of the file system
_LONG_WAY = (errno.EMLINK, errno.EXDEV, errno.ENOENT)  # what leaf() has an answer to
_DEFAULT_ACL = "system.posix_acl_default"
_PARTS = 16  # more parts than processes, so that these end at about the same time


class Content(Enum):
    """What the files of a checkout are."""

    LINKS = "hard links to the store"
    LINKS_OR_COPIES = "hard links where they can be, else copies"
    COPIES = "copies"


def check_out(tree: Tree, dfd: int, name: str, content: Content = Content.LINKS) -> None:
    """Make the tree as the new directory `name` below `dfd`; on an error nothing stays of it.

    Nothing is synced. Raises FileExistsError, AtomicSysError where links are wanted on another file
    system, Damaged for a missing object, OSError.
    """
    os.mkdir(component(name), _CLOSED, dir_fd=dfd)
    try:
        with opened(dfd, name) as fd:
            root = tree.root
            checkout = Checkout(tree.repository, content, tree.empty)
            checkout.learn(fd)
            if count(root) < _LARGE or processors() < _PROCESSES:
                checkout.fill(fd, root)
            else:
                checkout.fill_at_once(fd, root)
    except BaseException:
        with contextlib.suppress(OSError):
            remove_tree(dfd, name)
        raise


class Checkout:
    """Makes the files of trees of one repository."""

    def __init__(
        self,
        repository: Repository,
        content: Content = Content.LINKS,
        empty: frozenset[Checksum] | None = None,
    ) -> None:
        self.repository = repository
        self.content = content
        self.empty = empty
        self.as_root = repository.mode is Mode.BARE
        self._made_as = (-1, -1)  # owner and group of what mkdir(2) makes, if it has no other ideas
        self._masked = 0o7777  # bits that it does not set, then

    def learn(self, fd: int) -> None:
        """See from an empty directory, made by mkdir(2) as _CLOSED, how those in it will be."""
        info = os.fstat(fd)
        own = os.geteuid(), os.getegid()
        # A set-group-ID bit or a default ACL would be inherited by all that is below.
        if (info.st_uid, info.st_gid, stat.S_IMODE(info.st_mode)) == (*own, _CLOSED):
            try:
                os.getxattr(fd, _DEFAULT_ACL)
            except OSError as error:
                if error.errno in (errno.ENODATA, errno.ENOTSUP):
                    self._made_as = own
                    self._masked = umask() | stat.S_ISUID | stat.S_ISGID

    def fill(self, fd: int, directory: Directory) -> None:
        """Make what is in the directory; its own owner and mode come last (it may be read-only)."""
        self._fill(fd, directory)
        self.dress_directory(fd, directory.metadata)

    def _fill(self, fd: int, directory: Directory) -> None:
        self.leaves(fd, directory)
        for name, node in directory.nodes.items():
            if isinstance(node, Directory):
                self.directory(fd, name, node)

    def directory(self, fd: int, name: str, directory: Directory) -> None:
        """Make a directory with all that is in it."""
        metadata = directory.metadata
        mode = metadata.mode
        plain = (
            self.as_root
            and (metadata.uid, metadata.gid) == self._made_as
            and not mode & self._masked
            and mode & _CLOSED == _CLOSED
            and not metadata.xattrs
        )
        os.mkdir(component(name), mode if plain else _CLOSED, dir_fd=fd)
        below = os.open(name, _DIRECTORY, dir_fd=fd)
        try:
            self._fill(below, directory)
            if plain:
                os.utime(below, _EPOCH)
            else:
                self.dress_directory(below, metadata)
        finally:
            os.close(below)

    def fill_at_once(self, fd: int, root: Directory) -> None:
        """The same, by processes: here what is above the parts that they get."""
        above, parts = split(root, count(root) // _PARTS)
        for path in above:
            if path:
                with _reached(fd, path[:-1]) as parent:
                    os.mkdir(component(path[-1]), _CLOSED, dir_fd=parent)

        def make(share: Sequence[Part]) -> Job[None]:
            def run(_: Tell) -> None:
                for part in share:
                    with _reached(fd, part.path[:-1]) as parent:
                        if part.directory is None:
                            self.leaves(parent, above[part.path[:-1]])
                        else:
                            self.directory(parent, part.path[-1], part.directory)

            return Job(run=run, telling=contextlib.nullcontext(_silent), done=lambda _: None)

        run_all([make(share) for share in shares(parts, _PROCESSES)], _PROCESSES)
        for path, directory in reversed(above.items()):
            with _reached(fd, path) as here:
                self.dress_directory(here, directory.metadata)

    def leaves(self, fd: int, directory: Directory) -> None:
        """Make the files and the symbolic links of the directory."""
        for name, node in directory.nodes.items():
            if not isinstance(node, Directory):
                self.leaf(fd, component(name), node)

    def dress_directory(self, fd: int, metadata: Metadata) -> None:
        """Give a directory its owner, mode, attributes and time."""
        if self.as_root:
            os.fchown(fd, metadata.uid, metadata.gid)  # clears set-ID bits, so the mode is next
            os.fchmod(fd, metadata.mode)
            for key, value in metadata.xattrs:
                os.setxattr(fd, key, value)
        else:
            os.fchmod(fd, metadata.mode | stat.S_IRWXU)
        os.utime(fd, _EPOCH)

    def leaf(self, fd: int, name: str, content: Checksum) -> None:
        """Link a file or a symbolic link, or copy it where that cannot be."""
        simple = self.as_root and self.content is not Content.COPIES
        if simple and self._linked(fd, name, content):
            return
        info = self.repository.content_info(content)
        if info.target is not None and not self.as_root:
            os.symlink(info.target, name, dir_fd=fd)  # the object is a file there
        elif self.content is Content.COPIES or (info.target is None and info.size == 0):
            self._copy(fd, name, content, info)
        else:
            self._link(fd, name, content, info)

    def _linked(self, fd: int, name: str, content: Checksum) -> bool:
        """What is done for nearly every file, with nothing in it that is not needed for that."""
        digits, empty, objects = content.hex(), self.empty, self.repository.objects
        path = f"{digits[:2]}/{digits[2:]}.file"
        try:
            if empty is None:
                is_empty = os.stat(path, dir_fd=objects, follow_symlinks=False).st_size == 0
            else:
                is_empty = content in empty
            if is_empty:
                return False
            os.link(path, name, src_dir_fd=objects, dst_dir_fd=fd, follow_symlinks=False)
        except OSError as error:
            if error.errno in _LONG_WAY:
                return False
            raise
        return True

    def _link(self, fd: int, name: str, content: Checksum, info: ContentInfo) -> None:
        path = object_path(ObjectKind.FILE, content)
        try:
            os.link(
                path,
                name,
                src_dir_fd=self.repository.objects,
                dst_dir_fd=fd,
                follow_symlinks=False,
            )
        except OSError as error:
            if error.errno == errno.EXDEV and self.content is Content.LINKS:
                raise AtomicSysError(
                    "the store and the checkout directory are not on one file system",
                    hint="set ATOMIC_OSTREE_REPO to a directory on that of the checkouts",
                ) from error
            if error.errno not in (errno.EMLINK, errno.EXDEV):
                raise
            self._copy(fd, name, content, info)

    def _copy(self, fd: int, name: str, content: Checksum, info: ContentInfo) -> None:
        metadata = info.metadata
        if info.target is not None:
            os.symlink(info.target, name, dir_fd=fd)
            os.chown(name, metadata.uid, metadata.gid, dir_fd=fd, follow_symlinks=False)
            return
        source = self.repository.open_content(content)
        try:
            copy = os.open(name, _NEW, 0o600, dir_fd=fd)
            try:
                while chunk := os.read(source, _CHUNK):
                    write_all(copy, chunk)
                self._dress(copy, metadata, xattrs(source))
            finally:
                os.close(copy)
        finally:
            os.close(source)

    def _dress(
        self, fd: int, metadata: Metadata, attributes: tuple[tuple[bytes, bytes], ...]
    ) -> None:
        if self.as_root:
            os.fchown(fd, metadata.uid, metadata.gid)
            os.fchmod(fd, metadata.mode)
            for key, value in attributes:
                os.setxattr(fd, key, value)
        else:
            os.fchmod(fd, metadata.mode & 0o775 | stat.S_IRUSR)
        os.utime(fd, _EPOCH)


@contextlib.contextmanager
def _reached(fd: int, path: LayerPath) -> Iterator[int]:
    """The directory that we made at this path below `fd`."""
    with contextlib.ExitStack() as stack:
        for name in path:
            fd = stack.enter_context(opened(fd, name))
        yield fd


def _silent(_: int) -> None:
    """Nobody is told."""
