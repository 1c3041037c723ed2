# SPDX-License-Identifier: LGPL-2.1-or-later
"""How an operation is performed: the tools that it may use, and the undo it leaves behind.

Each operation registers its undo on the line after the deed, so that whatever fails later finds
everything that has been done.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import singledispatch

from atomic_sys import log
from atomic_sys.engine.operations import Step
from atomic_sys.errors import AtomicSysError
from atomic_sys.systemd.manager import Manager


@dataclass(frozen=True, slots=True, kw_only=True)
class Tools:
    """What operations work with.

    `root` is the descriptor of the root directory and `root_path` its path; `check_out` links the
    root file system of a stored image to a new directory `(image, directory fd, name)`; `say` is
    for lines that are API.
    """

    root: int
    root_path: str
    manager: Manager
    check_out: Callable[[str, int, str], None]
    say: Callable[[str], None]
    start_timeout: float


@dataclass(slots=True)
class UndoLog:
    """What takes back what was done, the last first."""

    _deeds: list[tuple[str, Callable[[], None]]] = field(default_factory=list)
    _afterwards: dict[str, Callable[[], None]] = field(default_factory=dict)

    def add(self, what: str, deed: Callable[[], None]) -> None:
        """Remember how to take back what was just done."""
        self._deeds.append((what, deed))

    def add_afterwards(self, what: str, deed: Callable[[], None]) -> None:
        """Remember what must follow, once, when everything has been taken back."""
        self._afterwards[what] = deed

    def unwind(self) -> None:
        """Take everything back. What cannot be taken back is said, and the rest still is."""
        remaining = [*reversed(self._deeds), *self._afterwards.items()]
        self._deeds.clear()
        self._afterwards.clear()
        for what, deed in remaining:
            try:
                deed()
            except (OSError, AtomicSysError) as error:
                log.warn(f"could not {what}: {error}")


@singledispatch
def perform(operation: Step, _tools: Tools, _undo: UndoLog) -> None:
    """Do what the operation says.

    Raises AtomicSysError or OSError; then nothing of this operation is left but what its undo takes
    back.
    """
    raise TypeError(f"no way to perform {type(operation).__name__}")
