# SPDX-License-Identifier: LGPL-2.1-or-later
"""Operations on systemd: reload, enable, start, stop, and the tmpfiles.d of a container."""

import os
from functools import partial

from atomic_sys import log
from atomic_sys.engine.operations import (
    CreateTmpfiles,
    Disable,
    Enable,
    Reenable,
    Reload,
    RemoveTmpfiles,
    Start,
    StartDependents,
    Stop,
)
from atomic_sys.engine.steps import Tools, UndoLog, perform
from atomic_sys.engine.undo import RemoveCreated, StartAgain
from atomic_sys.errors import AtomicSysError
from atomic_sys.fs.process import Command
from atomic_sys.systemd import journal, tmpfiles
from atomic_sys.systemd.manager import StartFailed, SystemdError

_LINES = 20  # of the journal, when a start fails


@perform.register
def _(_operation: Reload, tools: Tools, undo: UndoLog) -> None:
    undo.add_last(Reload())
    tools.manager.reload()


@perform.register
def _(operation: CreateTmpfiles, tools: Tools, undo: UndoLog) -> None:
    for path in operation.missing:  # the outermost first, so that it is removed last
        undo.add(RemoveCreated(path=path))
    tmpfiles.create([_from_here(tools, operation.path)], root=tools.root_path)


def _from_here(tools: Tools, path: str) -> str:
    return os.path.join(tools.root_path, path.lstrip("/"))


@perform.register
def _(operation: RemoveTmpfiles, tools: Tools, _undo: UndoLog) -> None:
    try:
        tmpfiles.remove([_from_here(tools, operation.path)], root=tools.root_path)
    except AtomicSysError as error:  # what cannot be removed is no reason to keep the container
        log.warn(str(error))


@perform.register
def _(operation: Enable, tools: Tools, undo: UndoLog) -> None:
    undo.add(Disable(unit=operation.unit))
    tools.manager.enable([operation.unit])


@perform.register
def _(operation: Disable, tools: Tools, _undo: UndoLog) -> None:
    tools.manager.disable([operation.unit])


@perform.register
def _(operation: Start, tools: Tools, undo: UndoLog) -> None:
    stop = Stop(unit=operation.unit, container=operation.container, runtime=operation.runtime)
    undo.add(stop)
    try:
        tools.manager.start(operation.unit, timeout=tools.start_timeout)
    except StartFailed:
        last_words(operation.unit, tools)
        raise


def last_words(unit: str, tools: Tools) -> None:
    """Say the last lines that exactly this run of the unit wrote to the journal."""
    invocation = tools.manager.details(unit).invocation_id
    for line in journal.tail(unit, _LINES, invocation) if invocation else ():
        log.note(f"  {unit}: {line}")


@perform.register
def _(operation: Reenable, tools: Tools, undo: UndoLog) -> None:
    undo.add_last(operation)
    tools.manager.disable([operation.unit])
    tools.manager.enable([operation.unit])


@perform.register
def _(operation: StartDependents, tools: Tools, _undo: UndoLog) -> None:
    for unit in operation.units:
        tools.manager.start(unit, timeout=tools.start_timeout)


@perform.register
def _(operation: Stop, tools: Tools, undo: UndoLog) -> None:
    """A start that timed out leaves the container alive in its scope: the runtime is asked too."""
    if not tools.manager.online:
        return
    if operation.again:
        undo.add_last(StartAgain(units=operation.again))
    for end in (
        partial(tools.manager.stop, operation.unit, timeout=tools.start_timeout),
        partial(tools.manager.reset_failed, operation.unit),
    ):
        try:
            end()
        except SystemdError as error:  # the runtime may still end it
            log.warn(str(error))
    if operation.runtime and os.path.exists(operation.runtime):
        delete = Command(argv=[operation.runtime, "delete", "--force", operation.container])
        if (done := delete.run()).returncode != 0 and "does not exist" not in done.stderr_tail:
            log.debug(f"{operation.runtime}: {done.stderr_tail}")
