# SPDX-License-Identifier: LGPL-2.1-or-later
"""A health check as the record of a deployment keeps it, and data versions. Times are in seconds.

Sources: Docker's image specification v1.2 ("Healthcheck"), whose times are in nanoseconds; the
contract, section 4 (`health`, `dataVersion`).
"""

from typing import Self

from atomic_sys.frozen import frozen
from atomic_sys.model.strict_json import (
    InvalidJson,
    Json,
    as_array,
    as_integer,
    as_object,
    as_strings,
)

_NANOSECONDS = 1_000_000_000
# Docker's defaults, for what an image leaves at 0.
_INTERVAL, _TIMEOUT, _RETRIES = 30.0, 30.0, 3


@frozen
class Health:
    """A command run inside the container; the times are in seconds."""

    command: tuple[str, ...]
    interval: float
    timeout: float
    retries: int
    start_period: float

    def to_json(self) -> Json:
        """As the record keeps it."""
        return {
            "command": list(self.command),
            "interval": self.interval,
            "timeout": self.timeout,
            "retries": self.retries,
            "start_period": self.start_period,
        }

    @classmethod
    def from_json(cls, value: Json, what: str) -> Self:
        """What to_json() gave. Raises InvalidJson."""
        body = as_object(value, what)
        return cls(
            command=as_strings(body.get("command"), f"{what}.command"),
            interval=_seconds(body.get("interval"), f"{what}.interval"),
            timeout=_seconds(body.get("timeout"), f"{what}.timeout"),
            retries=as_integer(body.get("retries"), f"{what}.retries"),
            start_period=_seconds(body.get("start_period"), f"{what}.start_period"),
        )


def of_image(value: Json, what: str) -> Health | None:
    """The `Healthcheck` of an image configuration; None for none, NONE, and an unknown kind.

    Raises InvalidJson.
    """
    body = as_object(value, what)
    match as_strings(body.get("Test"), f"{what}.Test"):
        case ("CMD", *rest) if rest:
            command = tuple(rest)
        case ("CMD-SHELL", *rest) if rest:
            command = ("/bin/sh", "-c", *rest)
        case _:  # NONE, and what Docker does not know either
            return None
    times = {
        key: as_integer(body.get(key) or 0, f"{what}.{key}") / _NANOSECONDS
        for key in ("Interval", "Timeout", "StartPeriod")
    }
    if min(times.values()) < 0:
        raise InvalidJson(f"{what}: a time is negative")
    return Health(
        command=command,
        interval=times["Interval"] or _INTERVAL,
        timeout=times["Timeout"] or _TIMEOUT,
        retries=as_integer(body.get("Retries") or _RETRIES, f"{what}.Retries"),
        start_period=times["StartPeriod"],
    )


@frozen
class DataVersion:
    """Which versions of its own data the image reads, and which one it leaves behind."""

    reads: tuple[int, ...]
    writes: int

    def to_json(self) -> Json:
        """As manifest.json has it."""
        return {"reads": list(self.reads), "writes": self.writes}

    @classmethod
    def from_json(cls, value: Json, what: str) -> Self:
        """Read it. Raises InvalidJson."""
        body = as_object(value, what)
        reads = as_array(body.get("reads"), f"{what}.reads")
        return cls(
            reads=tuple(as_integer(item, f"an entry of {what}.reads") for item in reads),
            writes=as_integer(body.get("writes"), f"{what}.writes"),
        )


def _seconds(value: Json, what: str) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value < 1e9:
        raise InvalidJson(f"{what} is no time in seconds")
    return float(value)


def can_read(new: DataVersion | None, old: DataVersion | None) -> bool:
    """Whether the new image reads what the old one left; those that say nothing always do."""
    return new is None or old is None or old.writes in new.reads
