# SPDX-License-Identifier: LGPL-2.1-or-later
"""Apply a plan: all of it, or as if it had never begun, also when the process dies."""

import contextlib
import itertools

from atomic_sys import log
from atomic_sys.engine import declared_steps, file_steps, undo_steps, unit_steps
from atomic_sys.engine.declared import Confirm, RemoveState, RunHook
from atomic_sys.engine.interrupts import Hold, held
from atomic_sys.engine.journal import Journal
from atomic_sys.engine.journal_format import Header
from atomic_sys.engine.operations import (
    CheckOut,
    CreateTmpfiles,
    Enable,
    Plan,
    Reload,
    RemoveTree,
    Start,
    StartDependents,
    Step,
    Stop,
    SyncFileSystem,
)
from atomic_sys.engine.steps import Tools, UndoLog, perform, unwind
from atomic_sys.engine.undo import Removal
from atomic_sys.errors import doing
from atomic_sys.fs import full

# Importing them registers how each operation is performed.
PERFORMERS = (declared_steps, file_steps, undo_steps, unit_steps)
# They can take long, and their undo is noted before they begin: an interrupt need not wait.
_LONG = (
    CheckOut, SyncFileSystem, Reload, CreateTmpfiles, Enable, Start, Stop, RemoveTree, Confirm,
    StartDependents, RemoveState, RunHook,
)  # fmt: skip


def apply(plan: Plan, tools: Tools, journal: Journal, header: Header) -> None:
    """Perform the plan's operations in their order; `header` is for the journal.

    When one fails, or the user interrupts, all that were performed are taken back and the error
    goes on; that cannot be interrupted again. When the process dies, recover() does the same.
    Raises what the operation raised.
    """
    with held() as hold:
        journal.begin(header)
        _all_or_nothing(plan, tools, journal, header, hold)
        journal.end()


def _all_or_nothing(
    plan: Plan | tuple[Removal, ...], tools: Tools, journal: Journal, header: Header, hold: Hold
) -> None:
    """Perform it; when that fails, take it back and end the journal, which has begun."""
    undo = UndoLog(journal)
    try:
        for operation in plan:
            _perform(operation, tools, undo, hold)
    except BaseException:
        if header.say is not None:
            tools.say(header.say)
        journal.give_room()
        if unwind(undo.steps_back(), tools):
            journal.end()
        journal.close()
        raise


def attempt(plan: Plan, tools: Tools) -> None:
    """Perform a plan whose deeds stay, also when one fails. Raises what the operation raised."""
    with held() as hold:
        for operation in plan:
            _perform(operation, tools, UndoLog(), hold)


def finish(plan: tuple[Removal, ...], tools: Tools, journal: Journal, what: str) -> None:
    """Perform a plan that cannot be taken back, but repeated until it is done.

    From the first step that removes something, the journal has all of it: when one fails, or the
    process dies, the next command for the container goes on. Until then, what was stopped is
    started again. Raises what the operation raised.
    """
    stops = tuple(itertools.takewhile(lambda operation: isinstance(operation, Stop), plan))
    with held() as hold:
        if stops:
            stopping = Header(what=what)
            journal.begin(stopping)
            _all_or_nothing(stops, tools, journal, stopping, hold)
        journal.turn(Header(what=what, finish=plan))
        for operation in plan[len(stops) :]:
            _perform(operation, tools, UndoLog(), hold)
        journal.end()


def go_on(plan: tuple[Removal, ...], tools: Tools, journal: Journal) -> None:
    """Perform all of a plan that was begun by finish(). Raises what an operation raises."""
    with held() as hold:
        for operation in plan:
            _perform(operation, tools, UndoLog(), hold)
        journal.end()


def _perform(operation: Step, tools: Tools, undo: UndoLog, hold: Hold) -> None:
    log.debug(operation.describe())
    through = isinstance(operation, _LONG)
    with (
        doing(operation.describe()),
        full.named_as_cause(tools.root, tools.written),  # now: an undo makes room again
        hold.let_through() if through else contextlib.nullcontext(),
    ):
        perform(operation, tools, undo)
    hold.check()
