# SPDX-License-Identifier: LGPL-2.1-or-later
"""A deployment against the store and its record: root file system, unit, tmpfiles, host files.

What differs is named by its path on the host, and put back where the store or the deployment's own
copies have it.
"""

import contextlib
import hashlib
import os
from collections.abc import Callable, Collection, Iterator, Mapping

from atomic_sys import log
from atomic_sys.engine import mount_points, own_files, protection
from atomic_sys.engine.checksum import NO_CONTENT
from atomic_sys.engine.drift import drift
from atomic_sys.engine.host_files import FILE_LIMIT
from atomic_sys.engine.observe import ROOTFS, Installed, read_deployment_file, rootfs_path
from atomic_sys.engine.prepare import HOST_FILES
from atomic_sys.engine.remote_rootfs import RemoteFiles
from atomic_sys.engine.rendered_files import RenderedFile
from atomic_sys.errors import AtomicSysError, doing
from atomic_sys.frozen import frozen
from atomic_sys.fs.atomic import temporary_name, write_file
from atomic_sys.fs.directory import exists, make_directories, open_directory
from atomic_sys.model.digest import Digest
from atomic_sys.model.record import RECORD_NAME, Record
from atomic_sys.paths import Paths
from atomic_sys.render import hostfiles
from atomic_sys.store.compare import Change, Comparison, Difference
from atomic_sys.store.integrity import ObjectName
from atomic_sys.store.store import Store
from atomic_sys.store.view import Tree, TreeEntry


@frozen
class Finding:
    """A path on the host that is not as it was installed, and what became of it."""

    path: str
    what: str


def _render_nothing(_container: Installed) -> Mapping[str, RenderedFile]:
    return {}


def deployed_tree(store: Store, record: Record) -> Tree:
    """The root file system that a deployment was made from. Raises NotFound, Damaged.

    The commit in a record of the predecessor's is that of the manifest, with nothing else in it.
    """
    digest = Digest.parse(f"sha256:{record.revision}")
    if not record.from_predecessor:
        return store.rootfs(record.commit, digest)
    for image in store.images():
        if image.digest == digest:
            return store.tree(image)
    return store.rootfs("", digest)


@frozen
class Verifier:
    """Verifies deployments below one root directory; `render` renders their files once more."""

    root: int
    paths: Paths
    store: Store
    render: Callable[[Installed], Mapping[str, RenderedFile]] = _render_nothing
    damaged: Collection[ObjectName] | None = None  # the store's objects, where they are known

    def rootfs(self, container: Installed) -> tuple[Finding, ...]:
        """What differs in the root file system alone. Raises NotFound, Damaged, OSError."""
        return tuple(
            Finding(path=self._path(container, one), what=one.change.value)
            for one in self._rootfs(container)
        )

    def verify(self, container: Installed) -> tuple[Finding, ...]:
        """Everything that differs. Raises NotFound, Damaged, OSError."""
        if container.record is None and not container.preinstalled:  # then nothing can be said
            path = f"{container.deployment}/{RECORD_NAME}"
            return (Finding(path=path, what="changed or missing"),)
        own = own_files.changed(container, self.root)
        found = [
            Finding(path=path, what="changed or missing")
            for path in (
                *(f"{container.deployment}/{name}" for name in own),
                *drift(container, self.root, self.paths),
            )
        ]
        return (*self.rootfs(container), *found)

    def needs_store(self, container: Installed) -> bool:
        """Whether objects that are to be put back are damaged. Raises NotFound, OSError."""
        if _is_remote(container):
            return False
        comparison = self._comparison(container)
        return not all(comparison.restorable(one) for one in self._rootfs(container))

    def restore(self, container: Installed) -> tuple[Finding, ...]:
        """Put back what can be; returns what still differs.

        A root file system elsewhere is not ours to write to. Raises AtomicSysError, OSError.
        """
        if _is_remote(container):
            path = rootfs_path(self.root, container)
            log.note(f"{path} is not of this host, and is repaired where it was made")
        else:
            self.restore_rootfs(container)
        if own_files.changed(container, self.root):
            own_files.put_back(container, self.render(container), self.root)
        for path in drift(container, self.root, self.paths):
            with doing(f"restoring {path}"):
                self._restore_host_file(container, path)
        return self.verify(container)

    def restore_rootfs(self, container: Installed) -> None:
        """Put back what can be of the root file system. Raises NotFound, Damaged, OSError."""
        with protection.released(self.paths.inside(container.deployment)):
            comparison = self._comparison(container)
            for one in tuple(self._rootfs(container)):
                if comparison.restorable(one):
                    self._restore(comparison, container, one)

    def _path(self, container: Installed, one: Difference) -> str:
        return "/".join((rootfs_path(self.root, container), *one.path))

    def _tree(self, record: Record) -> Tree:
        return deployed_tree(self.store, record)

    def _comparison(self, container: Installed) -> Comparison:
        try:
            with _opened(self.root, f"{container.deployment}/{ROOTFS}") as fd:
                made = mount_points.may_be_added(fd, self._config(container))
        except (FileNotFoundError, NotADirectoryError):  # all of it is missing
            made = frozenset()
        return Comparison(self.store.repository, made.__contains__, damaged=self.damaged)

    def _config(self, container: Installed) -> bytes:
        return read_deployment_file(self.root, container.deployment, "config.json") or b"{}"

    def _rootfs(self, container: Installed) -> Iterator[Difference]:
        record = container.record
        if record is None or not record.has_service:
            return
        tree = self._tree(record)
        if _is_remote(container):
            yield from self._remote(container, tree)
            return
        with _opened(self.root, container.deployment) as fd:
            yield from self._comparison(container).differences(tree.root, fd, ROOTFS)

    def _remote(self, container: Installed, tree: Tree) -> Iterator[Difference]:
        files = RemoteFiles(root=self.root, store=self.store)
        path, config = rootfs_path(self.root, container), self._config(container)
        try:
            yield from files.differences(path, tree, config)
        except (FileNotFoundError, NotADirectoryError):
            yield Difference(path=(), change=Change.MISSING, wanted=tree.root)

    def _restore(self, comparison: Comparison, container: Installed, one: Difference) -> None:
        if not one.path and not self._has_rootfs(container):
            with _opened(self.root, container.deployment) as fd:
                temporary = temporary_name(ROOTFS)
                record = container.record
                if record is not None:
                    self.store.check_out(self._tree(record), fd, temporary)
                    os.rename(temporary, ROOTFS, src_dir_fd=fd, dst_dir_fd=fd)
            return
        with _opened(self.root, f"{container.deployment}/{ROOTFS}") as fd:
            comparison.restore(one, fd)

    def _has_rootfs(self, container: Installed) -> bool:
        with _opened(self.root, container.deployment) as fd:
            return exists(fd, ROOTFS)

    def _restore_host_file(self, container: Installed, path: str) -> None:
        """From the deployment's copy, or from the image where it has what was installed."""
        directory, _, name = path.rpartition("/")
        content, mode = self._content(container, path)
        if content is None:
            return
        fd = make_directories(self.root, directory)
        try:
            write_file(fd, name, content, mode)
        finally:
            os.close(fd)

    def _content(self, container: Installed, path: str) -> tuple[bytes | None, int]:
        own = {
            f"{self.paths.units}/{container.name.unit}": container.name.unit,
            f"{self.paths.tmpfiles}/{container.name.tmpfiles}": (
                f"tmpfiles-{container.name.tmpfiles}"
            ),
        }
        if path in own and not own_files.is_whole(container, own[path], self.root):
            return None, 0
        if path in own:
            return read_deployment_file(self.root, container.deployment, own[path]), 0o644
        record = container.record
        expected = None if record is None else record.host_files.get(path)
        if record is None or expected in (None, NO_CONTENT):
            return None, 0
        tree = self._tree(record)
        for entry in tree.walk(HOST_FILES):
            for content in _versions(tree, entry, path, record):
                if hashlib.sha256(content).hexdigest() == expected:
                    return content, entry.metadata.mode
        return None, 0


def _is_remote(container: Installed) -> bool:
    return container.record is not None and container.record.remote is not None


def _versions(tree: Tree, entry: TreeEntry, path: str, record: Record) -> Iterator[bytes]:
    """What the image's file can have become on the host: itself, or with its values filled in."""
    if entry.is_directory or entry.target is not None:
        return
    content = tree.read_file("/".join((HOST_FILES, *entry.path)), FILE_LIMIT)
    if content is not None:
        yield content
        if path in record.host_file_templates:
            with contextlib.suppress(AtomicSysError):
                yield hostfiles.render(path, content, record.values)


@contextlib.contextmanager
def _opened(root: int, path: str) -> Iterator[int]:
    fd = open_directory(root, path)
    try:
        yield fd
    finally:
        os.close(fd)
