# SPDX-License-Identifier: LGPL-2.1-or-later
"""Which units stopping a container stops too, and which of them run: those must run afterwards.

Source: systemd.unit(5), "Mapping of unit properties to their inverses", PropagatesStopTo=.
"""

from collections.abc import Iterable

from atomic_sys.systemd.manager import Manager

# The properties of a unit that list the units which a stop of it stops.
_STOPPED_WITH_IT = ("RequiredBy", "RequisiteOf", "BoundBy", "ConsistsOf", "PropagatesStopTo")
_RUNNING = ("active", "reloading", "activating")


def running(unit: str, manager: Manager) -> tuple[str, ...]:
    """The unit and what is stopped with it, as far as they run, the unit first.

    Empty when the unit does not run itself. Raises SystemdError.
    """
    if not manager.online:
        return ()
    found = [unit]
    for one in found:  # grows while it is walked
        found += [other for other in _stopped_with(one, manager) if other not in found]
    states = manager.states(found)
    if states[unit].active not in _RUNNING:
        return ()
    return tuple(one for one in found if states[one].active in _RUNNING)


def _stopped_with(unit: str, manager: Manager) -> Iterable[str]:
    found = manager.properties(unit, _STOPPED_WITH_IT)
    listed = (value for value in found.values() if isinstance(value, list | tuple))
    return [str(other) for names in listed for other in names]
