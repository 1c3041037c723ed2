# SPDX-License-Identifier: LGPL-2.1-or-later
"""The steps that take others back, as values that a journal can keep. Pure.

Each can be performed any number of times, and also when what it takes back was never done, since
it is recorded before the deed. What came from somebody else since then stays.
"""

from typing import TypeAlias

from atomic_sys.engine.declared import RemoveState
from atomic_sys.engine.operations import (
    Disable,
    Reenable,
    Reload,
    RemoveEmptyDirectory,
    RemoveFile,
    RemoveTmpfiles,
    RemoveTree,
    Stop,
    SwapLink,
)
from atomic_sys.frozen import frozen


@frozen
class RemoveLink:
    """Remove a link while it leads to where we let it lead."""

    directory: str
    name: str
    target: str

    def describe(self) -> str:
        return f"remove {self.directory}/{self.name}"


@frozen
class RemoveCreated:
    """Remove what a tmpfiles.d file made: it was not there before, so nothing older is lost."""

    path: str

    def describe(self) -> str:
        return f"remove {self.path}"


@frozen
class RestoreFile:
    """Put a file back as it was: `backup` is its copy in the journal, `target` that of a link."""

    path: str
    backup: str | None = None
    target: str | None = None
    mode: int = 0o644
    uid: int = 0
    gid: int = 0

    def describe(self) -> str:
        return f"restore {self.path}"


@frozen
class StartAgain:
    """Start the units that ran before, each with what it needs; the first is the container's."""

    units: tuple[str, ...]

    def describe(self) -> str:
        return f"start {', '.join(self.units)} again"


Undo: TypeAlias = (
    RemoveFile
    | RemoveEmptyDirectory
    | RemoveTree
    | RemoveLink
    | RemoveCreated
    | RestoreFile
    | SwapLink
    | Disable
    | Reenable
    | Stop
    | Reload
    | StartAgain
)
# What a plan consists of that is finished after a crash instead of taken back.
Removal: TypeAlias = (
    Stop
    | Disable
    | Reload
    | RemoveFile
    | RemoveEmptyDirectory
    | RemoveTree
    | RemoveTmpfiles
    | RemoveState
)
