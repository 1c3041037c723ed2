# SPDX-License-Identifier: LGPL-2.1-or-later
"""Apply a plan: all of it, or as if it had never begun."""

from atomic_sys import log
from atomic_sys.engine import file_steps, unit_steps
from atomic_sys.engine.operations import Plan
from atomic_sys.engine.steps import Tools, UndoLog, perform
from atomic_sys.errors import doing

# Importing them registers how each operation is performed.
PERFORMERS = (file_steps, unit_steps)


def apply(plan: Plan, tools: Tools) -> None:
    """Perform the plan's operations in their order.

    When one fails, or the user interrupts, all that were performed are taken back and the error
    goes on. Raises what the operation raised.
    """
    undo = UndoLog()
    try:
        for operation in plan:
            log.debug(operation.describe())
            with doing(operation.describe()):
                perform(operation, tools, undo)
    except BaseException:
        undo.unwind()
        raise
