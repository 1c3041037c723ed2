# SPDX-License-Identifier: LGPL-2.1-or-later
"""No running systemd: the unit files below a root directory, by `systemctl --root`.

Nothing can be started here; what is enabled starts at the next boot. Sources: systemctl(1)
`--root`; systemd's ENVIRONMENT.md (SYSTEMD_OFFLINE).
"""

import re
from collections.abc import Mapping, Sequence

from atomic_sys import log
from atomic_sys.fs.process import Command, CommandFailed, Completed
from atomic_sys.systemd.manager import (
    DEFAULT_TIMEOUT,
    Change,
    SystemdError,
    UnitDetails,
    UnitState,
)

_CREATED = re.compile(r"^Created symlink ['\"]?(.+?)['\"]? (?:→|->) ['\"]?(.+?)['\"]?\.$")
_REMOVED = re.compile(r"^Removed ['\"]?(.+?)['\"]?\.$")
_NO_UNIT = ("No such file or directory", "not-found", "does not exist")


class OfflineManager:
    """A Manager for a root directory; see the protocol for what its methods promise."""

    online = False

    def __init__(self, root: str) -> None:
        self._root = root

    def reload(self) -> None:
        """Nothing runs that could reload."""

    def enable(self, units: Sequence[str]) -> tuple[Change, ...]:
        """See Manager."""
        return self._changes("enable", units)

    def disable(self, units: Sequence[str]) -> tuple[Change, ...]:
        """See Manager."""
        done = self._systemctl("disable", *units)
        if done.returncode != 0 and not any(text in done.stderr_tail for text in _NO_UNIT):
            raise SystemdError(f"disabling {', '.join(units)}: {done.stderr_tail}")
        return _parse_changes(done)

    def start(self, unit: str, timeout: float = DEFAULT_TIMEOUT) -> None:
        """Say that it has to wait."""
        del timeout
        log.note(f"{unit} will start at boot")

    def restart(self, unit: str, timeout: float = DEFAULT_TIMEOUT) -> None:
        """Say that it has to wait."""
        self.start(unit, timeout)

    def stop(self, unit: str, timeout: float = DEFAULT_TIMEOUT) -> None:
        """Nothing runs."""

    def reset_failed(self, unit: str) -> None:
        """Nothing has failed."""

    def states(self, units: Sequence[str]) -> Mapping[str, UnitState]:
        """All of them are inactive; `loaded` are those that have a unit file."""
        return {
            unit: UnitState(
                load="not-found" if self.unit_file_state(unit) is None else "loaded",
                active="inactive",
                sub="dead",
            )
            for unit in units
        }

    def details(self, unit: str) -> UnitDetails:
        """Nothing is known."""
        del unit
        return UnitDetails()

    def unit_file_state(self, unit: str) -> str | None:
        """See Manager."""
        done = self._systemctl("is-enabled", unit)
        state = done.stdout.decode("utf-8", "replace").strip()
        if state and state != "not-found":
            return state
        if state == "not-found" or any(text in done.stderr_tail for text in _NO_UNIT):
            return None
        raise SystemdError(f"asking for the unit file of {unit}: {done.stderr_tail}")

    def properties(self, unit: str, names: Sequence[str]) -> Mapping[str, object]:
        """Nothing is known."""
        del unit, names
        return {}

    def _changes(self, verb: str, units: Sequence[str]) -> tuple[Change, ...]:
        done = self._systemctl(verb, *units)
        if done.returncode != 0:
            raise SystemdError(f"{verb} {', '.join(units)}: {done.stderr_tail}")
        return _parse_changes(done)

    def _systemctl(self, verb: str, *units: str) -> Completed:
        # In a chroot with the installer's /run it would else find the installer's systemd.
        argv = ("systemctl", f"--root={self._root}", "--no-pager", verb, "--", *units)
        try:
            return Command(argv=argv, environment={"SYSTEMD_OFFLINE": "1"}).run()
        except CommandFailed as error:
            raise SystemdError(f"{verb} {', '.join(units)}: {error}") from None


def _parse_changes(done: Completed) -> tuple[Change, ...]:
    """What systemctl says that it linked and removed; it says so on stderr."""
    changes = []
    for line in (done.stdout + done.stderr).decode("utf-8", "replace").splitlines():
        if created := _CREATED.match(line):
            changes.append(Change("symlink", created[1], created[2]))
        elif removed := _REMOVED.match(line):
            changes.append(Change("unlink", removed[1], ""))
    return tuple(changes)
