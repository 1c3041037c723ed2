# SPDX-License-Identifier: LGPL-2.1-or-later
"""How the operations of declared.py are performed."""

from atomic_sys import log
from atomic_sys.engine import inside
from atomic_sys.engine.declared import Confirm, RemoveState, RunHook
from atomic_sys.engine.health import Unhealthy, confirm
from atomic_sys.engine.purge import opened_state
from atomic_sys.engine.steps import Tools, UndoLog, perform
from atomic_sys.engine.unit_steps import last_words
from atomic_sys.errors import AtomicSysError
from atomic_sys.fs.directory import remove_tree

_LINES = 20  # of a hook's output, when it fails


class HookFailed(AtomicSysError):
    """A hook said no, or took too long."""


@perform.register
def _(operation: Confirm, tools: Tools, _undo: UndoLog) -> None:
    try:
        confirm(operation, tools.manager)
    except Unhealthy:
        last_words(operation.unit, tools)
        raise


@perform.register
def _(operation: RunHook, _tools: Tools, _undo: UndoLog) -> None:
    try:
        inside.execute(operation.runtime, operation.container, operation.command, operation.limit)
    except inside.Failed as error:
        for line in error.lines[-_LINES:]:
            log.note(f"  {operation.hook.value}: {line}")
        slow = isinstance(error, inside.TookTooLong)
        raise HookFailed(
            f"the {operation.hook.value} hook failed: {error}",
            hint="hook_timeout in /etc/atomic.conf grants more time" if slow else None,
        ) from error


@perform.register
def _(operation: RemoveState, tools: Tools, _undo: UndoLog) -> None:
    try:
        with opened_state(tools.root, operation) as found:
            match found:
                case None:
                    pass
                case str() as reason:
                    log.warn(f"{operation.whole} stays: {reason}")
                case (parent, name):
                    remove_tree(parent, name)
    except OSError as error:
        log.warn(f"{operation.whole} could not be removed: {error.strerror}")
