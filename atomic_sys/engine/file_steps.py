# SPDX-License-Identifier: LGPL-2.1-or-later
"""Operations on files: everything below the root's descriptor, links resolved inside the root."""

import contextlib
import errno
import hashlib
import os
import stat
from collections.abc import Iterator

from atomic_sys import log
from atomic_sys.engine import protection
from atomic_sys.engine.checksum import checksum
from atomic_sys.engine.observe import ROOTFS
from atomic_sys.engine.operations import (
    CheckOut,
    InstallHostFile,
    MakeDirectory,
    MakeHostDirectory,
    Protect,
    RemoveEmptyDirectory,
    RemoveFile,
    RemoveTree,
    ReplaceFile,
    SwapLink,
    SyncFileSystem,
    WriteFile,
)
from atomic_sys.engine.steps import Tools, UndoLog, perform
from atomic_sys.engine.undo import RemoveLink
from atomic_sys.errors import AtomicSysError
from atomic_sys.fs.atomic import swap_symlink, sync_file_system, write_file
from atomic_sys.fs.directory import exists, open_directory, read_link, remove_tree


class AlreadyThere(AtomicSysError):
    """A file that the plan was to make exists."""


@contextlib.contextmanager
def opened_in_root(tools: Tools, path: str) -> Iterator[int]:
    """The directory at `path` below the root, open for the length of the block."""
    fd = open_directory(tools.root, path)
    try:
        yield fd
    finally:
        os.close(fd)


@contextlib.contextmanager
def opened_to_replace(tools: Tools, path: str) -> Iterator[int]:
    """The same; in a deployment its protection is away meanwhile, so that files can be linked."""
    whole = os.path.join(tools.root_path, path.lstrip("/"))
    is_deployment = os.path.lexists(os.path.join(whole, ROOTFS))
    with (
        protection.released(whole) if is_deployment else contextlib.nullcontext(),
        opened_in_root(tools, path) as fd,
    ):
        yield fd


def ensure_directory(tools: Tools, path: str, undo: UndoLog, mode: int = 0o755) -> None:
    """Make the directory and what is missing above it."""
    parts = path.strip("/").split("/")
    for depth, name in enumerate(parts):
        above = "/".join(parts[:depth]) or "."
        with opened_in_root(tools, above) as parent:
            if exists(parent, name):
                continue
            undo.add(RemoveEmptyDirectory(path="/" + "/".join(parts[: depth + 1])))
            with contextlib.suppress(FileExistsError):
                os.mkdir(name, mode if depth == len(parts) - 1 else 0o755, dir_fd=parent)


def _refuse(parent: int, directory: str, name: str) -> None:
    if exists(parent, name):
        raise AlreadyThere(f"The file {directory}/{name} already exists.")


@perform.register
def _(operation: MakeDirectory, tools: Tools, undo: UndoLog) -> None:
    ensure_directory(tools, operation.directory, undo)
    with opened_in_root(tools, operation.directory) as parent:
        if exists(parent, operation.name):
            raise AlreadyThere(f"{operation.directory}/{operation.name} exists")
        undo.add(RemoveTree(directory=operation.directory, name=operation.name))
        os.mkdir(operation.name, operation.mode, dir_fd=parent)


@perform.register
def _(operation: CheckOut, tools: Tools, undo: UndoLog) -> None:
    path, name = operation.directory, operation.name
    with opened_in_root(tools, path) as parent:
        _refuse(parent, path, name)
        undo.add(RemoveTree(directory=path, name=name))
        tools.say(f"Extracting to {path}")
        tools.check_out(operation.commit, parent, name)


@perform.register
def _(operation: WriteFile, tools: Tools, undo: UndoLog) -> None:
    path, name = operation.directory, operation.name
    ensure_directory(tools, path, undo)
    with opened_in_root(tools, path) as parent:
        _refuse(parent, path, name)
        undo.add(RemoveFile(path=operation.path, sha256=_sha256(operation.content)))
        write_file(parent, name, operation.content, operation.mode)


@perform.register
def _(operation: ReplaceFile, tools: Tools, undo: UndoLog) -> None:
    path, _, name = operation.path.rpartition("/")
    ensure_directory(tools, path, undo)
    with opened_to_replace(tools, path or ".") as parent:
        mode = 0o644
        if exists(parent, name):
            undo.keep(parent, name, operation.path)
            mode = stat.S_IMODE(os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode)
        else:
            undo.add(_removal(operation))
        _put(operation, parent, name, mode if operation.mode is None else operation.mode)


def _removal(operation: ReplaceFile | InstallHostFile) -> RemoveLink | RemoveFile:
    """What takes it back where nothing was before."""
    directory, _, name = operation.path.rpartition("/")
    if operation.target is not None:
        return RemoveLink(directory=directory, name=name, target=operation.target)
    return RemoveFile(path=operation.path, sha256=_sha256(operation.content or b""))


def _put(operation: ReplaceFile | InstallHostFile, parent: int, name: str, mode: int) -> None:
    if operation.target is not None:
        swap_symlink(parent, name, operation.target)
    else:
        write_file(parent, name, operation.content or b"", mode)


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@perform.register
def _(operation: InstallHostFile, tools: Tools, undo: UndoLog) -> None:
    path, _, name = operation.path.rpartition("/")
    ensure_directory(tools, path, undo)
    with opened_in_root(tools, path or ".") as parent:
        _refuse(parent, path, name)
        undo.add(_removal(operation))
        _put(operation, parent, name, operation.mode)
    tools.say(f"Created file {operation.path}")


@perform.register
def _(operation: MakeHostDirectory, tools: Tools, undo: UndoLog) -> None:
    ensure_directory(tools, operation.path, undo, operation.mode)


@perform.register
def _(operation: Protect, tools: Tools, _undo: UndoLog) -> None:
    tools.protect(operation.directory)


@perform.register
def _(operation: SyncFileSystem, tools: Tools, _undo: UndoLog) -> None:
    with opened_in_root(tools, operation.directory) as fd:
        sync_file_system(fd)


@perform.register
def _(operation: SwapLink, tools: Tools, undo: UndoLog) -> None:
    path, name, target = operation.directory, operation.name, operation.target
    with opened_in_root(tools, path) as parent:
        before = read_link(parent, name)
        if before is None:
            _refuse(parent, path, name)
            undo.add(RemoveLink(directory=path, name=name, target=target))
        else:
            undo.add(SwapLink(directory=path, name=name, target=before))
        swap_symlink(parent, name, target)


@perform.register
def _(operation: RemoveFile, tools: Tools, undo: UndoLog) -> None:
    path, _, name = operation.path.rpartition("/")
    try:
        parent = open_directory(tools.root, path or ".")
    except (FileNotFoundError, NotADirectoryError):
        return
    try:
        found = None if operation.sha256 is None else checksum(parent, name)
        if found in (operation.sha256, None):
            _remove(operation.path, parent, tools, undo)
            return
        log.warn(f"Will not delete {operation.path} as it was manually modified.")
    finally:
        os.close(parent)


def _remove(path: str, parent: int, tools: Tools, undo: UndoLog) -> None:
    name = path.rpartition("/")[2]
    with contextlib.suppress(FileNotFoundError):
        mode = os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode
        if stat.S_ISDIR(mode):  # the predecessor recorded those that it made
            perform(RemoveEmptyDirectory(path=path), tools, undo)
            return
        if stat.S_ISREG(mode) or stat.S_ISLNK(mode):
            undo.keep(parent, name, path)
        os.unlink(name, dir_fd=parent)


@perform.register
def _(operation: RemoveEmptyDirectory, tools: Tools, _undo: UndoLog) -> None:
    path, _, name = operation.path.rpartition("/")
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        try:
            with opened_in_root(tools, path or ".") as parent:
                os.rmdir(name, dir_fd=parent)
        except OSError as error:
            if error.errno != errno.ENOTEMPTY:
                raise


@perform.register
def _(operation: RemoveTree, tools: Tools, _undo: UndoLog) -> None:
    with (
        contextlib.suppress(FileNotFoundError),
        opened_in_root(tools, operation.directory) as parent,
    ):
        if read_link(parent, operation.name) is None:  # a link is a container of that name
            _release(operation, tools)
            remove_tree(parent, operation.name)


def _release(operation: RemoveTree, tools: Tools) -> None:
    """A deployment is protected by a mount, and so may be what is removed of one that failed."""
    path = os.path.join(tools.root_path, operation.directory.lstrip("/"))
    whole = operation.name != ROOTFS
    protection.release(os.path.join(path, operation.name) if whole else path)
