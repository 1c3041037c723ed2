# SPDX-License-Identifier: LGPL-2.1-or-later
"""The running systemd, over D-Bus by pydbus: the only file that knows pydbus and GLib.

A job is awaited by its JobRemoved signal. The signal of a quick job can come before the reply that
tells the job's name, so the signals are collected from before the call on. Source:
org.freedesktop.systemd1(5), "The Manager Object".
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from atomic_sys import log
from atomic_sys.frozen import frozen
from atomic_sys.systemd.manager import (
    DEFAULT_TIMEOUT,
    RELOAD_TIMEOUT,
    Change,
    JobFailed,
    StartFailed,
    StopFailed,
    SystemdError,
    UnitDetails,
    UnitState,
)

_NAME = "org.freedesktop.systemd1"
_PATH = "/org/freedesktop/systemd1"
_MANAGER = f"{_NAME}.Manager"
_PROPERTIES = "org.freedesktop.DBus.Properties"
_MISSING = (
    f"{_NAME}.NoSuchUnit",
    "org.freedesktop.DBus.Error.FileNotFound",
    f"{_NAME}.LoadFailed",
)
_REASON = {
    "canceled": "its job was cancelled",
    "timeout": "its job timed out",
    "failed": "its job failed",
    "dependency": "a unit that it requires failed",
    "skipped": "its job did not apply to it",
}
# Arguments of systemd's and GLib's methods, which have positions and no names.
_RUNTIME_ONLY = False  # links in /etc, not in /run
_FORCE = False  # a link that leads elsewhere is an error
_MAY_BLOCK = True
Proxy = Any  # pydbus makes its proxies from introspection data; they have no types


@frozen
class Connection:
    """What the manager needs of a bus; tests bring their own.

    `manager` is a proxy of the Manager interface, `properties` makes one of the Properties
    interface at an object path, and `wait` lets signals arrive until the function says that it is
    enough or the seconds are over; it returns the function's last answer.
    """

    manager: Proxy
    properties: Callable[[str], Proxy]
    wait: Callable[[Callable[[], bool], float], bool]


def connect(*, user: bool = False) -> "DbusManager":
    """The system's manager, or the user's own. Raises SystemdError when there is no bus."""
    import pydbus  # PyGObject takes 60 ms: only who talks to systemd pays for it

    with _errors("connecting to systemd"):
        bus = pydbus.SessionBus() if user else pydbus.SystemBus()
        manager = bus.get(_NAME, _PATH)[_MANAGER]
        manager.Subscribe(timeout=DEFAULT_TIMEOUT)
    return DbusManager(
        Connection(
            manager=manager,
            properties=lambda path: bus.get(_NAME, path)[_PROPERTIES],
            wait=_wait,
        )
    )


class DbusManager:
    """A Manager over a bus; see the protocol for what its methods promise."""

    online = True

    def __init__(self, connection: Connection) -> None:
        self._manager = connection.manager
        self._connection = connection

    def reload(self) -> None:
        """See Manager."""
        with _errors("reloading systemd"):
            self._manager.Reload(timeout=RELOAD_TIMEOUT)

    def enable(self, units: Sequence[str]) -> tuple[Change, ...]:
        """See Manager."""
        with _errors(f"enabling {', '.join(units)}"):
            has_install, changes = self._manager.EnableUnitFiles(
                list(units), _RUNTIME_ONLY, _FORCE, timeout=DEFAULT_TIMEOUT
            )
        if not has_install:
            log.warn(f"{', '.join(units)}: no [Install] section, nothing starts it at boot")
        return tuple(Change(*change) for change in changes)

    def disable(self, units: Sequence[str]) -> tuple[Change, ...]:
        """See Manager."""
        try:
            with _errors(f"disabling {', '.join(units)}"):
                changes = self._manager.DisableUnitFiles(
                    list(units), _RUNTIME_ONLY, timeout=DEFAULT_TIMEOUT
                )
        except SystemdError as error:
            if error.name in _MISSING:
                return ()
            raise
        return tuple(Change(*change) for change in changes)

    def start(self, unit: str, timeout: float = DEFAULT_TIMEOUT) -> None:
        """See Manager."""
        self._run_job(unit, self._manager.StartUnit, StartFailed, timeout)
        self._expect_active(unit)

    def restart(self, unit: str, timeout: float = DEFAULT_TIMEOUT) -> None:
        """See Manager."""
        self._run_job(unit, self._manager.RestartUnit, StartFailed, timeout)
        self._expect_active(unit)

    def stop(self, unit: str, timeout: float = DEFAULT_TIMEOUT) -> None:
        """See Manager."""
        try:
            self._run_job(unit, self._manager.StopUnit, StopFailed, timeout)
        except SystemdError as error:
            if error.name not in _MISSING:
                raise

    def reset_failed(self, unit: str) -> None:
        """See Manager."""
        try:
            with _errors(f"resetting {unit}"):
                self._manager.ResetFailedUnit(unit, timeout=DEFAULT_TIMEOUT)
        except SystemdError as error:
            if error.name not in _MISSING:
                raise

    def states(self, units: Sequence[str]) -> Mapping[str, UnitState]:
        """See Manager."""
        with _errors("asking for the states of units"):
            rows = self._manager.ListUnitsByNames(list(units), timeout=DEFAULT_TIMEOUT)
        return {row[0]: UnitState(load=row[2], active=row[3], sub=row[4]) for row in rows}

    def details(self, unit: str) -> UnitDetails:
        """See Manager."""
        found = self._all_properties(unit)
        return UnitDetails(
            since_realtime_us=int(found.get("StateChangeTimestamp", 0)),
            main_pid=int(found.get("MainPID", 0)),
            invocation_id=bytes(found.get("InvocationID", ())).hex(),
            result=str(found.get("Result", "")),
            restarts=int(found.get("NRestarts", 0)),
            needs_reload=bool(found.get("NeedDaemonReload", False)),
            control_group=str(found.get("ControlGroup", "")),
        )

    def unit_file_state(self, unit: str) -> str | None:
        """See Manager."""
        try:
            with _errors(f"asking for the unit file of {unit}"):
                return str(self._manager.GetUnitFileState(unit, timeout=DEFAULT_TIMEOUT))
        except SystemdError as error:
            if error.name in _MISSING:
                return None
            raise

    def properties(self, unit: str, names: Sequence[str]) -> Mapping[str, object]:
        """See Manager."""
        found = self._all_properties(unit)
        return {name: found[name] for name in names if name in found}

    def _all_properties(self, unit: str) -> Mapping[str, Any]:
        """The properties of all of the unit's interfaces, which the empty name stands for."""
        with _errors(f"asking for the properties of {unit}"):
            path = self._manager.LoadUnit(unit, timeout=DEFAULT_TIMEOUT)
            found: Mapping[str, Any] = self._connection.properties(path).GetAll(
                "", timeout=DEFAULT_TIMEOUT
            )
        return found

    def _run_job(self, unit: str, method: Proxy, failure: type[JobFailed], timeout: float) -> None:
        """Queue a job and wait for its end; a job of the same unit in its way is replaced."""
        results: dict[str, str] = {}
        deadline = time.monotonic() + timeout

        def removed(_number: int, job: str, _unit: str, result: str) -> None:
            results[job] = result

        subscription = self._manager.JobRemoved.connect(removed)
        try:
            with _errors(f"queueing a job for {unit}"):
                job = method(unit, "replace", timeout=timeout)
            left = max(0.0, deadline - time.monotonic())
            if not self._connection.wait(lambda: job in results, left):
                raise failure(
                    f"{unit}: no end of its job within {timeout:g} seconds",
                    unit=unit,
                    result="timeout",
                )
        finally:
            subscription.disconnect()
        if results[job] != "done":
            reason = _REASON.get(results[job], f"its job ended with {results[job]!r}")
            raise failure(f"{unit}: {reason}", unit=unit, result=results[job])

    def _expect_active(self, unit: str) -> None:
        """A job is done also when a condition did not hold, or the payload has ended since."""
        found = self._all_properties(unit)
        active, result = found.get("ActiveState"), str(found.get("Result", ""))
        if active in ("active", "reloading"):
            return
        # Without a time stamp the unit was unloaded and read again: then the result says nothing.
        if found.get("ConditionResult") is False and found.get("ConditionTimestamp"):
            raise StartFailed(
                f"{unit}: a condition of its unit does not hold", unit=unit, result="condition"
            )
        if active == "inactive" and found.get("Type") == "oneshot" and result == "success":
            return
        raise StartFailed(
            f"{unit}: started, but {active} right afterwards ({result or 'no result'})",
            unit=unit,
            result=result or str(active),
        )


@contextmanager
def _errors(doing: str) -> Iterator[None]:
    """Make SystemdError of what GLib raises."""
    from gi.repository import Gio, GLib  # as in connect()

    try:
        yield
    except GLib.Error as error:
        name = Gio.DBusError.get_remote_error(error) or ""
        message = error.message.removeprefix(f"GDBus.Error:{name}: ")
        raise SystemdError(f"{doing}: {message}", name=name) from None
    except (AttributeError, KeyError) as error:  # pydbus, for what introspection does not show
        raise SystemdError(f"{doing}: systemd does not offer {error}") from None


def _wait(enough: Callable[[], bool], timeout: float) -> bool:
    """Dispatch GLib's default context until it is enough, or the seconds are over."""
    from gi.repository import GLib  # as in connect()

    context = GLib.MainContext.default()
    over: list[bool] = []

    def expire() -> bool:
        over.append(True)
        return bool(GLib.SOURCE_REMOVE)

    source = GLib.timeout_add(max(1, int(timeout * 1000)), expire)
    while not enough() and not over:
        context.iteration(_MAY_BLOCK)
    if not over:
        GLib.source_remove(source)
    return enough()
