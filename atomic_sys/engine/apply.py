# SPDX-License-Identifier: LGPL-2.1-or-later
"""Apply a plan: all of it, or as if it had never begun."""

import contextlib

from atomic_sys import log
from atomic_sys.engine import file_steps, unit_steps
from atomic_sys.engine.interrupts import held
from atomic_sys.engine.operations import (
    CheckOut,
    CreateTmpfiles,
    Enable,
    Plan,
    Reload,
    RemoveTree,
    Start,
    Stop,
    SyncFileSystem,
)
from atomic_sys.engine.steps import Tools, UndoLog, perform
from atomic_sys.errors import doing

# Importing them registers how each operation is performed.
PERFORMERS = (file_steps, unit_steps)
# They can take long, and their undo is noted before they begin: an interrupt need not wait.
_LONG = (CheckOut, SyncFileSystem, Reload, CreateTmpfiles, Enable, Start, Stop, RemoveTree)


def apply(plan: Plan, tools: Tools) -> None:
    """Perform the plan's operations in their order.

    When one fails, or the user interrupts, all that were performed are taken back and the error
    goes on; that cannot be interrupted again. Raises what the operation raised.
    """
    undo = UndoLog()
    with held() as hold:
        try:
            for operation in plan:
                log.debug(operation.describe())
                through = isinstance(operation, _LONG)
                with (
                    doing(operation.describe()),
                    hold.let_through() if through else contextlib.nullcontext(),
                ):
                    perform(operation, tools, undo)
                hold.check()
        except BaseException:
            undo.unwind()
            raise
