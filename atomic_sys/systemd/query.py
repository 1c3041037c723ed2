# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a list has to know of many units, in one round trip, by busctl(1).

PyGObject and pydbus take five times as long to load as systemctl(1) takes to list a hundred units,
so that whoever only asks, and waits for no signal, asks here. Sources: org.freedesktop.systemd1(5),
busctl(1) --json.
"""

import json
from collections.abc import Mapping, Sequence

from atomic_sys.fs.process import Command, CommandFailed
from atomic_sys.systemd.manager import DEFAULT_TIMEOUT, SystemdError, UnitState

_CALL = (
    "busctl", "--json=short", "--", "call", "org.freedesktop.systemd1",
    "/org/freedesktop/systemd1", "org.freedesktop.systemd1.Manager",
)  # fmt: skip
_NO_STATES = "0"  # any state: the array of those that are wanted is empty


def states(units: Sequence[str]) -> Mapping[str, UnitState]:
    """How the units are, as Manager.states() has it. Raises SystemdError."""
    rows = _ask(5, "ListUnitsByNames", "as", str(len(units)), *units)
    return {row[0]: UnitState(load=row[2], active=row[3], sub=row[4]) for row in rows}


def file_states(units: Sequence[str]) -> Mapping[str, str]:
    """`enabled` and the like, of those that have a unit file. Raises SystemdError."""
    patterns = (str(len(units)), *units)
    rows = _ask(2, "ListUnitFilesByPatterns", "asas", _NO_STATES, *patterns)
    return {row[0].rpartition("/")[2]: row[1] for row in rows}


def _ask(columns: int, method: str, *words: str) -> list[list[str]]:
    """The first columns, which are strings, of the rows that the method answers."""
    try:
        done = Command(argv=(*_CALL, method, *words), timeout=DEFAULT_TIMEOUT).check()
        (rows,) = json.loads(done.stdout)["data"]
        return [[str(row[column]) for column in range(columns)] for row in rows]
    except CommandFailed as error:
        raise SystemdError(f"asking systemd about units: {error}") from None
    except (ValueError, LookupError, TypeError) as error:
        raise SystemdError(f"asking systemd about units: {method}: {error}") from None
