# SPDX-License-Identifier: LGPL-2.1-or-later
"""The steps that change a host, as values: what a plan is made of, what --dry-run prints.

Directories are paths as seen from inside the root; a name is one component below one.
"""

from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

from atomic_sys.engine.declared import Confirm, RemoveState, RunHook
from atomic_sys.frozen import frozen


class Step(Protocol):
    """What all operations have in common."""

    def describe(self) -> str:
        """One line for --dry-run, the log, and the note of an error."""
        ...


@frozen
class MakeDirectory:
    """Make a directory that must not be there."""

    directory: str
    name: str
    mode: int = 0o755

    def describe(self) -> str:
        return f"make the directory {self.directory}/{self.name}"


@frozen
class CheckOut:
    """Link the image's root file system to a new directory.

    `image` is its name, for people; `commit` says which tree was judged, whatever the name may mean
    by now.
    """

    image: str
    commit: str
    directory: str
    name: str = "rootfs"

    def describe(self) -> str:
        return f"check out {self.image} to {self.directory}/{self.name}"


@frozen
class WriteFile:
    """Put a file in place that must not be there; missing parents are made.

    `before` is what --dry-run compares it with.
    """

    directory: str
    name: str
    content: bytes = field(repr=False)
    mode: int = 0o644
    before: bytes = field(default=b"", repr=False)

    @property
    def path(self) -> str:
        """The whole path."""
        return f"{self.directory}/{self.name}"

    def describe(self) -> str:
        return f"write {self.path} ({len(self.content)} bytes)"


@frozen
class ReplaceFile:
    """Put a file in place of the one that is there, if there is one; `before` is its content.

    Exactly one of `content` and `target` is given; without a mode the old one stays.
    """

    path: str
    content: bytes | None = field(default=None, repr=False)
    target: str | None = None
    mode: int | None = None
    before: bytes = field(default=b"", repr=False)

    def describe(self) -> str:
        return f"replace {self.path}"


@frozen
class InstallHostFile:
    """Copy a file or link of the image's /exports/hostfs to the host, where there is none.

    Exactly one of `content` and `target` is given; missing parents are made.
    """

    path: str
    content: bytes | None = field(default=None, repr=False)
    target: str | None = None
    mode: int = 0o644

    def describe(self) -> str:
        return f"install the host file {self.path}"


@frozen
class MakeHostDirectory:
    """Make a directory of the image's /exports/hostfs on the host, where there is none."""

    path: str
    mode: int = 0o755

    def describe(self) -> str:
        return f"make the host directory {self.path}"


@frozen
class Protect:
    """Protect a deployment's root file system from accidental writes; goes with the deployment."""

    directory: str

    def describe(self) -> str:
        return f"protect {self.directory}/rootfs by a read-only mount"


@frozen
class SyncFileSystem:
    """Wait until all of the new deployment is on the disk."""

    directory: str

    def describe(self) -> str:
        return f"sync the file system of {self.directory}"


@frozen
class SwapLink:
    """Point a link elsewhere; that of the container's name is the commit point."""

    directory: str
    name: str
    target: str

    def describe(self) -> str:
        return f"point {self.directory}/{self.name} to {self.target}"


@dataclass(frozen=True, slots=True)
class Reload:
    """Let systemd read its unit files again."""

    def describe(self) -> str:
        return "reload systemd"


@frozen
class CreateTmpfiles:
    """Make what a tmpfiles.d file lists; `paths` are those that were not there."""

    path: str
    missing: tuple[str, ...] = ()

    def describe(self) -> str:
        return f"create what {self.path} lists"


@frozen
class RemoveTmpfiles:
    """Remove what a tmpfiles.d file lists for removal."""

    path: str

    def describe(self) -> str:
        return f"remove what {self.path} lists for removal"


@frozen
class Enable:
    """Hook the unit into the boot."""

    unit: str

    def describe(self) -> str:
        return f"enable {self.unit}"


@frozen
class Disable:
    """Take the unit out of the boot."""

    unit: str

    def describe(self) -> str:
        return f"disable {self.unit}"


@frozen
class Start:
    """Start the unit and what it requires, and wait until it is active."""

    unit: str
    container: str
    runtime: str

    def describe(self) -> str:
        return f"start {self.unit} and wait until it is active"


@frozen
class Stop:
    """Stop the unit, and remove what the runtime may still hold of it.

    `again` are the units to be started when the plan is taken back: those that ran before.
    """

    unit: str
    container: str
    runtime: str
    again: tuple[str, ...] = ()

    def describe(self) -> str:
        return f"stop {self.unit}"


@frozen
class Reenable:
    """Hook the unit into the boot anew, as its [Install] section now says."""

    unit: str

    def describe(self) -> str:
        return f"enable {self.unit} anew"


@frozen
class StartDependents:
    """Start the units that ran before, and that stopping the container stopped too."""

    units: tuple[str, ...]

    def describe(self) -> str:
        return f"start {', '.join(self.units)}, which ran before"


@frozen
class RemoveFile:
    """Remove a file or link; when `sha256` is given, only while the content is still that."""

    path: str
    sha256: str | None = None

    def describe(self) -> str:
        return f"remove {self.path}"


@frozen
class RemoveEmptyDirectory:
    """Remove a directory that was made for the container, if nothing else has come to it."""

    path: str

    def describe(self) -> str:
        return f"remove {self.path} if it is empty"


@frozen
class RemoveTree:
    """Remove a deployment: a directory. Anything else of this name is somebody else's."""

    directory: str
    name: str

    def describe(self) -> str:
        return f"remove {self.directory}/{self.name}"


Operation: TypeAlias = (
    MakeDirectory | CheckOut | WriteFile | ReplaceFile | InstallHostFile | MakeHostDirectory
    | Protect | SyncFileSystem | SwapLink | Reload | CreateTmpfiles | RemoveTmpfiles | Enable
    | Disable | Start | Stop | Reenable | Confirm | StartDependents | RemoveFile
    | RemoveEmptyDirectory | RemoveTree | RemoveState | RunHook
)  # fmt: skip
Plan: TypeAlias = tuple[Operation, ...]
