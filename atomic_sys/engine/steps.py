# SPDX-License-Identifier: LGPL-2.1-or-later
"""How an operation is performed: the tools that it may use, and the undo it leaves behind.

Each operation records its undo before the deed, so that a deed that was cut short is found too.
"""

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from functools import singledispatch

from atomic_sys import log
from atomic_sys.engine.journal import Journal
from atomic_sys.engine.journal_format import Entry, When, steps_back
from atomic_sys.engine.operations import RemoveFile, RemoveTree, Step
from atomic_sys.engine.undo import RestoreFile, Undo
from atomic_sys.errors import AtomicSysError, reason_of
from atomic_sys.frozen import frozen
from atomic_sys.systemd.manager import Manager


@frozen
class Tools:
    """What operations work with.

    `root` is the descriptor of the root directory and `root_path` its path; `check_out` links the
    root file system of a commit to a new directory `(commit, directory fd, name)`; `protect`
    protects that of the deployment at a path; `written` are paths on all file systems where
    operations, and what they start, need room; `backup` opens a copy of the journal; `say` is for
    lines that are API.
    """

    root: int
    root_path: str
    manager: Manager
    check_out: Callable[[str, int, str], None]
    protect: Callable[[str], None]
    backup: Callable[[str], AbstractContextManager[int]]
    say: Callable[[str], None]
    start_timeout: float
    written: tuple[str, ...] = ()


class UndoLog:
    """What takes back what was done; each step is in the journal before the deed begins.

    Without a journal nothing is kept: for what is done while taking back.
    """

    def __init__(self, journal: Journal | None = None) -> None:
        self._journal = journal
        self._entries: list[Entry] = []

    def add(self, undo: Undo) -> None:
        """Record how to take back what is about to be done."""
        if not self._covered(undo):
            self._record(Entry(undo=undo))

    def add_last(self, undo: Undo) -> None:
        """Record what must follow, once, when everything has been taken back."""
        self._record(Entry(undo=undo, when=When.LAST))

    def _record(self, entry: Entry) -> None:
        if self._journal is not None:
            self._entries.append(entry)
            self._journal.append(entry)

    def keep(self, parent: int, name: str, path: str) -> None:
        """Copy a file that is about to go into the journal, and record that it is put back."""
        if self._journal is not None:
            kept = self._journal.back_up(parent, name)
            self.add(
                RestoreFile(
                    path=path,
                    backup=kept.copy,
                    target=kept.target,
                    mode=kept.mode,
                    uid=kept.uid,
                    gid=kept.gid,
                )
            )

    def _covered(self, undo: Undo) -> bool:
        """Whether it is inside a deployment that goes as a whole."""
        match undo:
            case RemoveFile():
                path = undo.path
            case RemoveTree():
                path = f"{undo.directory}/{undo.name}"
            case _:
                return False
        trees = (entry.undo for entry in self._entries)
        return any(
            isinstance(tree, RemoveTree) and path.startswith(f"{tree.directory}/{tree.name}/")
            for tree in trees
        )

    def steps_back(self) -> tuple[Undo, ...]:
        """What takes everything back, in the order in which it is to be done."""
        return steps_back(self._entries)


def unwind(steps: Iterable[Step], tools: Tools) -> bool:
    """Take everything back; whether all could be. What could not be is said, the rest still is."""
    complete = True
    for step in steps:
        try:
            perform(step, tools, UndoLog())
        except (OSError, AtomicSysError) as error:
            log.warn(f"could not {step.describe()}: {reason_of(error)}")
            complete = False
    return complete


@singledispatch
def perform(operation: Step, _tools: Tools, _undo: UndoLog) -> None:
    """Do what the operation says.

    Raises AtomicSysError or OSError; then nothing of this operation is left but what its undo takes
    back.
    """
    raise TypeError(f"no way to perform {type(operation).__name__}")
