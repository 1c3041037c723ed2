# SPDX-License-Identifier: LGPL-2.1-or-later
"""A root file system elsewhere: one directory that many containers, on many hosts, run from.

It may be on a server that others can write to, and is mounted read-only as a rule. So nothing is
ever written to it, and nothing in it is believed: every file is hashed and compared with the tree
of the image, which this host made from layers that it verified itself. What rendering needs of the
files (the templates, the host files, the accounts) is taken from there by its checksum.
"""

import itertools
import os
import shlex
import stat
from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath

from atomic_sys import log
from atomic_sys.engine import mount_points
from atomic_sys.engine.mount_points import Place
from atomic_sys.engine.observe import ROOTFS, all_deployments, installed, rootfs_path
from atomic_sys.engine.prepare import CONTENT_NEEDED
from atomic_sys.errors import AtomicSysError, Damaged
from atomic_sys.frozen import frozen
from atomic_sys.fs.directory import open_directory, open_in_root
from atomic_sys.paths import Paths
from atomic_sys.store.compare import Comparison, Difference
from atomic_sys.store.outlines import Outlines
from atomic_sys.store.repository import Mode
from atomic_sys.store.store import Store
from atomic_sys.store.view import Tree

_DEVICES = ("dev",)
_SHOWN = 3  # differences in the one line of an error
_HINT = (
    "where it can be written to: atomic images checkout IMAGE NEW-DIR, and then --rootfs NEW-DIR;"
    " where a server maps root to nobody, files that only root may read look changed"
)


class OtherFiles(Damaged):
    """A root file system that is not that of the image."""


@frozen
class RemoteRootfs:
    """Where it is: as the user said it, and without any link, as the runtime wants it.

    Both are absolute, and as seen from inside the root.
    """

    asked: str
    path: str


@frozen
class RemoteFiles:
    """The root file systems elsewhere, below one root directory."""

    root: int
    store: Store

    def locate(self, asked: str, tree: Tree) -> RemoteRootfs:
        """The root file system at, or in `rootfs` of, the directory: a deployment has it there.

        Raises AtomicSysError where there is none.
        """
        try:
            fd = open_directory(self.root, asked)
        except (FileNotFoundError, NotADirectoryError):
            raise AtomicSysError(
                f"--rootfs {asked}: the remote rootfs does not exist",
                hint="atomic images checkout IMAGE DIR makes one",
            ) from None
        try:
            path = _real_path(self.root, fd)
            found = set(os.listdir(fd))
        finally:
            os.close(fd)
        if ROOTFS in found and not tree.root.nodes.keys() <= found:
            return RemoteRootfs(asked=asked, path=self._real(f"{path}/{ROOTFS}"))
        return RemoteRootfs(asked=asked, path=path)

    def _real(self, path: str) -> str:
        fd = open_directory(self.root, path)
        try:
            return _real_path(self.root, fd)
        finally:
            os.close(fd)

    def require_content(self, remote: RemoteRootfs, image: str, tree: Tree) -> None:
        """Keep what rendering reads of the image, of which the store may have but an outline.

        Raises OtherFiles when the files are not those of the image, OSError.
        """
        missing = [one for path in CONTENT_NEEDED for one in tree.missing(path)]
        if not missing:
            return
        fd = open_directory(self.root, remote.path)
        try:
            Outlines(self.store).take(missing, fd)
        except (Damaged, OSError):
            self.require_same(remote, image, tree, b"{}")  # which says more about it
            raise
        finally:
            os.close(fd)

    def require_same(self, remote: RemoteRootfs, image: str, tree: Tree, config: bytes) -> None:
        """See that all files are those of the image, and that a runtime can mount on them.

        Raises OtherFiles, naming the first that differ, AtomicSysError, OSError.
        """
        log.note(f"comparing {remote.path} with {image}")
        found = list(itertools.islice(self.differences(remote.path, tree, config), _SHOWN + 1))
        if found:
            first = ", ".join(f"{one.change.value} /{'/'.join(one.path)}" for one in found[:_SHOWN])
            more = " and more" if len(found) > _SHOWN else ""
            raise OtherFiles(
                f"{remote.path} is not the root file system of {image}: {first}{more}",
                hint=_HINT,
            )
        self._require_mount_points(remote, config)

    def differences(self, path: str, tree: Tree, config: bytes) -> Iterator[Difference]:
        """What differs from the tree; mount points of the config.json may have been made.

        Raises OSError, FileNotFoundError where nothing is at the path.
        """
        fd = open_directory(self.root, path)
        try:
            may_be_added = mount_points.may_be_added(fd, config).__contains__
            comparison = Comparison(self.store.repository, may_be_added, Mode.BARE)
            yield from comparison.differences_in(tree.root, fd)
        finally:
            os.close(fd)

    def _require_mount_points(self, remote: RemoteRootfs, config: bytes) -> None:
        fd = open_directory(self.root, remote.path)
        try:
            targets = mount_points.targets(config)
            lacking = [place for place in mount_points.places(fd, targets) if not place.made]
            writable = os.access(f"/proc/self/fd/{fd}", os.W_OK)
        finally:
            os.close(fd)
        paths = [f"/{'/'.join(place.path)}" for place in lacking]
        if not any(target.path == _DEVICES for target in targets):
            paths.append("/dev/null")  # runc makes it, and others, where nothing is mounted
        if paths and writable:
            log.warn(f"the runtime will make {', '.join(paths)} in {remote.path}")
        elif paths:
            raise AtomicSysError(
                f"{remote.path} is read-only, and the runtime would have to make"
                f" {', '.join(paths)} in it",
                hint=self._how_to_make(lacking),
            )

    def _how_to_make(self, lacking: Sequence[Place]) -> str | None:
        """The commands for whoever can write to the directory."""
        files = [place.path for place in lacking if self._is_file(place.source)]
        directories = [place.path for place in lacking if place.path not in files]
        directories += [path[:-1] for path in files if path[1:]]
        commands = [
            f"{command} {' '.join(shlex.quote('/'.join(path)) for path in dict.fromkeys(paths))}"
            for command, paths in (("mkdir -p", directories), ("touch", files))
            if paths
        ]
        if not commands:
            return None
        return f"in it, where it can be written to: {' && '.join(commands)}; that is no difference"

    def _is_file(self, source: str | None) -> bool:
        """Whether what is bound is a file of this host; what is not there will be a directory."""
        if source is None or not source.startswith("/"):
            return False
        try:
            fd = open_in_root(self.root, source, os.O_PATH)
        except OSError:
            return False
        try:
            return not stat.S_ISDIR(os.fstat(fd).st_mode)
        finally:
            os.close(fd)


def users_of(deployment: str, root: int, paths: Paths) -> tuple[str, ...]:
    """The containers that run from the files of this deployment of another one. Raises OSError."""
    try:
        fd = open_directory(root, deployment)
    except FileNotFoundError:
        return ()
    try:
        top = _real_path(root, fd)
    finally:
        os.close(fd)
    return tuple(
        container.name.value
        for container in installed(root, paths)
        if any(
            one.deployment != deployment
            and one.record is not None
            and one.record.remote is not None
            and PurePosixPath(rootfs_path(root, one)).is_relative_to(top)
            for one in all_deployments(root, paths, container)
        )
    )


def _real_path(root: int, fd: int) -> str:
    """The path of an open directory as seen from inside the root. Raises AtomicSysError."""
    top, path = (PurePosixPath(os.readlink(f"/proc/self/fd/{one}")) for one in (root, fd))
    try:
        return str("/" / path.relative_to(top))
    except ValueError:
        raise AtomicSysError(f"{path} is not below the root directory {top}") from None
