# SPDX-License-Identifier: LGPL-2.1-or-later
"""The files that an image puts onto the host, as operations: planned against what is there."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

from atomic_sys import log
from atomic_sys.engine.checksum import NO_CONTENT
from atomic_sys.engine.observe import Installed
from atomic_sys.engine.operations import (
    InstallHostFile,
    MakeHostDirectory,
    RemoveFile,
    ReplaceFile,
)
from atomic_sys.engine.prepare import HOST_FILES
from atomic_sys.errors import AtomicSysError
from atomic_sys.frozen import frozen
from atomic_sys.render import hostfiles
from atomic_sys.render.hostfiles import EntryKind, HostFile
from atomic_sys.render.render import Rendered
from atomic_sys.store.view import Tree, TreeEntry

FILE_LIMIT = 1 << 30  # bytes of one host file


class HostFileConflict(AtomicSysError):
    """A host file of the image belongs to another container."""


HostOperation: TypeAlias = InstallHostFile | MakeHostDirectory | ReplaceFile | RemoveFile


@frozen
class HostFilePlan:
    """The operations, and what uninstalling must know.

    `items` is everything that the image wants on the host, whatever is there; `checksums` is
    path -> sha256 in hex (`0` for a link); `directories` are those to be made, the outermost
    first.
    """

    operations: tuple[HostOperation, ...] = ()
    items: tuple[InstallHostFile, ...] = ()
    checksums: Mapping[str, str]
    directories: tuple[str, ...] = ()


def plan_host_files(
    rendered: Rendered,
    tree: Tree,
    others: Sequence[Installed],
    is_free: Callable[[str], bool],
) -> HostFilePlan:
    """What is to be put onto the host.

    A file that is there already stays as it is, is not ours, and is said, as the predecessor had
    it. Raises HostFileConflict for one that another container installed.
    """
    owners = owned_by(others)
    operations: list[HostOperation] = []
    checksums: dict[str, str] = {}
    items = host_items(rendered, tree)
    for item in items:
        refuse_owned(item.path, owners)
        if not is_free(item.path):
            log.warn(f"File {item.path} already exists")
            continue
        operations.append(item)
        checksums[item.path] = wanted_checksum(item)
    wanted = [path for path in rendered.host_files.directories if is_free(path)]
    operations += [MakeHostDirectory(path=path) for path in wanted]
    paths = [*checksums, *(f"{path}/" for path in wanted)]
    return HostFilePlan(
        operations=tuple(operations),
        items=items,
        checksums=checksums,
        directories=missing_parents(paths, is_free),
    )


def owned_by(others: Sequence[Installed]) -> Mapping[str, str]:
    """Path -> name of the container that it belongs to."""
    return {
        path: other.name.value
        for other in others
        if other.record is not None
        for path in other.record.host_files
    }


def refuse_owned(path: str, owners: Mapping[str, str]) -> None:
    """Raises HostFileConflict for a file that another container installed."""
    if owner := owners.get(path):
        raise HostFileConflict(f"{path} belongs to the container {owner}")


def host_items(rendered: Rendered, tree: Tree) -> tuple[InstallHostFile, ...]:
    """The files and links that the image wants on the host, templated ones rendered."""
    entries = {entry.path: entry for entry in tree.walk(HOST_FILES)}
    return tuple(
        _operation(file, entries[file.source], tree, rendered) for file in rendered.host_files.files
    )


def wanted_checksum(item: InstallHostFile) -> str:
    """As the record keeps it."""
    return NO_CONTENT if item.content is None else hashlib.sha256(item.content).hexdigest()


def missing_parents(paths: Sequence[str], is_free: Callable[[str], bool]) -> tuple[str, ...]:
    """The directories above these paths that do not exist, each once, the outermost first."""
    missing: dict[str, None] = {}
    for path in paths:
        parts = path.split("/")[1:-1]
        for depth in range(1, len(parts) + 1):
            directory = "/" + "/".join(parts[:depth])
            if directory not in missing and is_free(directory):
                missing[directory] = None
    return tuple(missing)


def _operation(file: HostFile, entry: TreeEntry, tree: Tree, rendered: Rendered) -> InstallHostFile:
    if file.kind is EntryKind.SYMLINK:
        return InstallHostFile(path=file.destination, target=entry.target)
    source = "/".join((HOST_FILES, *file.source))
    content = tree.read_file(source, FILE_LIMIT)
    if content is None:
        raise AtomicSysError(f"the image has no file {source}")
    if file.templated:
        content = hostfiles.render(file.destination, content, rendered.values.all)
    return InstallHostFile(path=file.destination, content=content, mode=entry.metadata.mode)
