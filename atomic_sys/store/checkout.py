# SPDX-License-Identifier: LGPL-2.1-or-later
"""A tree as files: hard links to the store's objects or copies, below one directory descriptor.

Only names from our own validated tree are made, each in a directory that we made and hold open, so
nothing that an image contains can lead anywhere else. Empty files are made anew, as libostree does:
they are the ones that get written to, and an inode has room for 65,000 links only (on ext4).
"""

import contextlib
import errno
import os
import stat
from enum import Enum

from atomic_sys.errors import AtomicSysError
from atomic_sys.fs.atomic import write_all
from atomic_sys.fs.directory import component, opened, remove_tree
from atomic_sys.model.layer import Metadata
from atomic_sys.store.integrity import xattrs
from atomic_sys.store.objects import Checksum, ObjectKind
from atomic_sys.store.repository import ContentInfo, Mode, Repository, object_path
from atomic_sys.store.tree import Directory

_CHUNK = 1 << 20
_NEW = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW
_EPOCH = (0, 0)


class Content(Enum):
    """What the files of a checkout are."""

    LINKS = "hard links to the store"
    LINKS_OR_COPIES = "hard links where they can be, else copies"
    COPIES = "copies"


def check_out(
    repository: Repository,
    root: Directory,
    dfd: int,
    name: str,
    content: Content = Content.LINKS,
) -> None:
    """Make the tree as the new directory `name` below `dfd`; on an error nothing stays of it.

    Nothing is synced. Raises FileExistsError, AtomicSysError where links are wanted on another file
    system, Damaged for a missing object, OSError.
    """
    os.mkdir(component(name), 0o700, dir_fd=dfd)
    try:
        with opened(dfd, name) as fd:
            Checkout(repository, content).fill(fd, root)
    except BaseException:
        with contextlib.suppress(OSError):
            remove_tree(dfd, name)
        raise


class Checkout:
    """Makes the files of trees of one repository."""

    def __init__(self, repository: Repository, content: Content = Content.LINKS) -> None:
        self.repository = repository
        self.content = content
        self.as_root = repository.mode is Mode.BARE

    def fill(self, fd: int, directory: Directory) -> None:
        """Make what is in the directory; its own owner and mode come last (it may be read-only)."""
        for name, node in directory.nodes.items():
            if isinstance(node, Directory):
                os.mkdir(component(name), 0o700, dir_fd=fd)
                with opened(fd, name) as below:
                    self.fill(below, node)
            else:
                self.leaf(fd, component(name), node)
        self.dress_directory(fd, directory.metadata)

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
        info = self.repository.content_info(content)
        if info.target is not None and not self.as_root:
            os.symlink(info.target, name, dir_fd=fd)  # the object is a file there
        elif self.content is Content.COPIES or (info.target is None and info.size == 0):
            self._copy(fd, name, content, info)
        else:
            self._link(fd, name, content, info)

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
