# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the program asks of systemd, whoever answers: a running manager, or the files of a root.

Source: org.freedesktop.systemd1(5), whose names for states and results are used here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from atomic_sys.errors import AtomicSysError
from atomic_sys.frozen import frozen

DEFAULT_TIMEOUT = 90.0  # seconds, systemd's own DefaultTimeoutStartSec=
RELOAD_TIMEOUT = 180.0  # seconds; generators and thousands of units can take long


class SystemdError(AtomicSysError):
    """systemd said no; `name` is the D-Bus name of the error, where there is one."""

    def __init__(self, message: str, *, name: str = "", hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.name = name


class JobFailed(SystemdError):
    """A job did not end as it should; `result` is systemd's word for how it ended."""

    def __init__(self, message: str, *, unit: str, result: str) -> None:
        super().__init__(message, hint=f"see: journalctl --unit {unit}")
        self.unit = unit
        self.result = result


class StartFailed(JobFailed):
    """A unit could not be started, or was not active afterwards."""


class StopFailed(JobFailed):
    """A unit could not be stopped."""


@dataclass(frozen=True, slots=True)
class Change:
    """A link that enabling or disabling made or removed: `kind` is `symlink` or `unlink`."""

    kind: str
    path: str
    source: str


@frozen
class UnitState:
    """How a unit is, in systemd's words; one that does not exist has load `not-found`."""

    load: str
    active: str
    sub: str

    @property
    def is_active(self) -> bool:
        """Whether it runs, or is being reloaded."""
        return self.active in ("active", "reloading")


@frozen
class UnitDetails:
    """More about one unit, for a report; 0 and empty where systemd does not know."""

    since_realtime_us: int = 0  # of the last change of its state, microseconds since the epoch
    main_pid: int = 0
    invocation_id: str = ""  # hex
    result: str = ""
    restarts: int = 0
    needs_reload: bool = False
    control_group: str = ""


class Manager(Protocol):
    """The supervisor. Every method raises SystemdError; timeouts are in seconds."""

    @property
    def online(self) -> bool:
        """Whether units can be started now."""

    def reload(self) -> None:
        """Let it read all unit files again."""

    def enable(self, units: Sequence[str]) -> tuple[Change, ...]:
        """Make the links that the units' [Install] sections ask for. Does not reload."""

    def disable(self, units: Sequence[str]) -> tuple[Change, ...]:
        """Remove these links. Does not reload; a unit that does not exist is fine."""

    def start(self, unit: str, timeout: float = DEFAULT_TIMEOUT) -> None:
        """Start it, and wait until the job has ended and the unit is active.

        A unit of Type=oneshot needs only to have ended well. Raises StartFailed.
        """

    def restart(self, unit: str, timeout: float = DEFAULT_TIMEOUT) -> None:
        """Stop it, if it runs, and start it, as one job. Raises StartFailed."""

    def stop(self, unit: str, timeout: float = DEFAULT_TIMEOUT) -> None:
        """Stop it, and wait; one that is not loaded is fine. Raises StopFailed."""

    def reset_failed(self, unit: str) -> None:
        """Forget its failures, and with them the limit of starts."""

    def states(self, units: Sequence[str]) -> Mapping[str, UnitState]:
        """The state of each of the units, in one round trip."""

    def details(self, unit: str) -> UnitDetails:
        """More about one unit."""

    def unit_file_state(self, unit: str) -> str | None:
        """`enabled`, `disabled`, `static`, ..., or None when there is no such unit file."""

    def properties(self, unit: str, names: Sequence[str]) -> Mapping[str, object]:
        """Those of the named properties that the unit has; strings, integers, lists, ..."""
