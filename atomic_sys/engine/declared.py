# SPDX-License-Identifier: LGPL-2.1-or-later
"""The operations that an image asks for by what it declares: its health, its hooks, its state."""

from atomic_sys.frozen import frozen
from atomic_sys.model.health import Health
from atomic_sys.model.hooks import Hook


@frozen
class Confirm:
    """See that the unit stays active for `settle` seconds, and that its health check succeeds."""

    unit: str
    container: str
    runtime: str
    settle: float
    health: Health | None = None

    def describe(self) -> str:
        check = "" if self.health is None else " and its health check"
        return f"wait {self.settle:g} seconds for {self.unit} to prove itself{check}"


@frozen
class RunHook:
    """Run a command of the image in its running container; `limit` is in seconds."""

    hook: Hook
    container: str
    runtime: str
    command: tuple[str, ...]
    limit: float

    def describe(self) -> str:
        command = " ".join(self.command)
        return f"run the {self.hook.value} hook in {self.container}: {command}"


@frozen
class RemoveState:
    """Remove what a container has left: `path` below the directory `base`, no link of it followed.

    What cannot be removed stays, and is told.
    """

    base: str
    path: str

    @property
    def whole(self) -> str:
        """The whole path."""
        return f"{self.base}/{self.path}"

    def describe(self) -> str:
        return f"remove the state {self.whole}"
