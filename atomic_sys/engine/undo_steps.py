# SPDX-License-Identifier: LGPL-2.1-or-later
"""How the steps of undo.py are performed: what is not there, or not ours any more, stays."""

import contextlib
import errno
import os
import stat

from atomic_sys import log
from atomic_sys.engine.file_steps import opened_in_root, opened_to_replace
from atomic_sys.engine.steps import Tools, UndoLog, perform
from atomic_sys.engine.undo import RemoveCreated, RemoveLink, RestoreFile, StartAgain
from atomic_sys.fs.atomic import copy_file, link_file, swap_symlink
from atomic_sys.fs.directory import read_link, remove_tree
from atomic_sys.systemd.manager import SystemdError


@perform.register
def _(operation: RemoveLink, tools: Tools, _undo: UndoLog) -> None:
    with (
        contextlib.suppress(FileNotFoundError),
        opened_in_root(tools, operation.directory or ".") as parent,
    ):
        if read_link(parent, operation.name) == operation.target:
            os.unlink(operation.name, dir_fd=parent)


@perform.register
def _(operation: RemoveCreated, tools: Tools, _undo: UndoLog) -> None:
    above, _, name = operation.path.rpartition("/")
    with contextlib.suppress(FileNotFoundError), opened_in_root(tools, above or ".") as parent:
        remove_tree(parent, name)


@perform.register
def _(operation: RestoreFile, tools: Tools, _undo: UndoLog) -> None:
    above, _, name = operation.path.rpartition("/")
    with opened_to_replace(tools, above or ".") as parent:
        if operation.target is not None:
            swap_symlink(parent, name, operation.target)
            os.chown(name, operation.uid, operation.gid, dir_fd=parent, follow_symlinks=False)
        elif operation.backup is not None:
            with tools.backup(operation.backup) as kept:
                _put_back(operation, kept, parent, name)


def _put_back(operation: RestoreFile, kept: int, parent: int, name: str) -> None:
    """The very file, if the journal has that: on a full disk nothing else could be put back."""
    info, owner = os.fstat(kept), (operation.uid, operation.gid)
    same = (stat.S_IMODE(info.st_mode), info.st_uid, info.st_gid) == (operation.mode, *owner)
    try:
        if same:
            link_file(kept, parent, name)
            return
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise
        log.debug(f"{operation.path} is copied: {error.strerror}")
    copy_file(kept, parent, name, mode=operation.mode, owner=owner)


@perform.register
def _(operation: StartAgain, tools: Tools, _undo: UndoLog) -> None:
    """All of them are tried; one that does not start is no reason to try everything again."""
    if not tools.manager.online:
        return
    for unit in operation.units:
        try:
            tools.manager.reset_failed(unit)
            tools.manager.start(unit, timeout=tools.start_timeout)
        except SystemdError as error:
            log.warn(f"it ran before, but does not start again: {error}")
