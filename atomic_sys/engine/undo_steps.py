# SPDX-License-Identifier: LGPL-2.1-or-later
"""How the steps of undo.py are performed: what is not there, or not ours any more, stays."""

import contextlib
import os

from atomic_sys import log
from atomic_sys.engine.file_steps import opened_in_root
from atomic_sys.engine.steps import Tools, UndoLog, perform
from atomic_sys.engine.undo import RemoveCreated, RemoveLink, RestoreFile, StartAgain
from atomic_sys.fs.atomic import copy_file, swap_symlink
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
    with opened_in_root(tools, above or ".") as parent:
        if operation.target is not None:
            swap_symlink(parent, name, operation.target)
            os.chown(name, operation.uid, operation.gid, dir_fd=parent, follow_symlinks=False)
        elif operation.backup is not None:
            owner = (operation.uid, operation.gid)
            with tools.backup(operation.backup) as copy:
                copy_file(copy, parent, name, mode=operation.mode, owner=owner)


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
