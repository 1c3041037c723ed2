# SPDX-License-Identifier: LGPL-2.1-or-later
"""`atomic containers list` and `status`: what is installed, and how it is."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import field

from atomic_sys.engine.observe import (
    Installed,
    installed_with,
    names_with_state,
    observe,
    read_deployment_file,
    read_state,
    require,
)
from atomic_sys.errors import AtomicSysError
from atomic_sys.frozen import frozen
from atomic_sys.host import Host
from atomic_sys.model.names import ContainerName
from atomic_sys.systemd.manager import UnitDetails, UnitState

NO_SERVICE = "no service"
RUNNING = "running"
_CONFIG = "config.json"
_STATES = {
    "active": RUNNING,
    "reloading": RUNNING,
    "failed": "failed",
    "activating": "activating",
}


@frozen
class Container:
    """A row of the list."""

    installed: Installed
    state: str
    command: str
    held: bool = False

    @property
    def running(self) -> bool:
        """Whether its unit is active."""
        return self.state == RUNNING

    @property
    def image(self) -> str:
        """The image, as it was named at the installation."""
        return "" if self.installed.record is None else self.installed.record.image

    @property
    def runtime(self) -> str:
        """The path of its runtime."""
        return "" if self.installed.record is None else self.installed.record.runtime


@frozen
class Status:
    """One container in detail."""

    container: Container
    unit: UnitState
    details: UnitDetails
    enabled: str | None
    deployments: tuple[int, ...]
    drift: tuple[str, ...] = field(default=())


def list_containers(host: Host) -> tuple[Container, ...]:
    """All containers; systemd is asked once for all of them. Raises SystemdError, OSError."""
    found = installed_with(host.root, host.paths, _CONFIG)
    units = [c.name.unit for c, _ in found if _has_service(c)]
    states = host.unit_states(units) if units else {}
    decided = names_with_state(host.root, host.paths)
    return tuple(
        Container(
            installed=one,
            state=_state(one, states),
            command=_command(config),
            held=one.name.value in decided and _held(one.name, host),
        )
        for one, config in found
    )


def status(name: ContainerName, host: Host) -> Status:
    """One container. Raises NotFound, SystemdError, OSError."""
    from atomic_sys.engine.drift import drift  # it hashes, which the list need not load

    found = require(host.root, host.paths, name)
    states = host.manager.states([name.unit])
    return Status(
        container=Container(
            installed=found,
            state=_state(found, states),
            command=_command(_config(found, host)),
            held=_held(name, host),
        ),
        unit=states[name.unit],
        details=host.manager.details(name.unit),
        enabled=host.manager.unit_file_state(name.unit),
        deployments=observe(host.root, host.paths, name).deployments,
        drift=drift(found, host.root, host.paths),
    )


def _has_service(container: Installed) -> bool:
    return container.record is None or container.record.has_service


def _state(found: Installed, states: Mapping[str, UnitState]) -> str:
    if not _has_service(found):
        return NO_SERVICE
    return _STATES.get(states[found.name.unit].active, "inactive")


def _held(name: ContainerName, host: Host) -> bool:
    """Whether it is held; a broken file is no reason to list nothing."""
    try:
        return read_state(host.root, host.paths, name).held
    except (OSError, AtomicSysError):
        return False


def _config(found: Installed, host: Host) -> bytes:
    try:
        return read_deployment_file(host.root, found.deployment, _CONFIG) or b""
    except OSError:
        return b""


def _command(config: bytes) -> str:
    """What it runs, by its config.json; one that is broken is no reason to list nothing."""
    try:
        arguments = json.loads(config)["process"]["args"]
    except (ValueError, LookupError, TypeError, RecursionError):
        return ""
    return " ".join(map(str, arguments)) if isinstance(arguments, list) else ""


FILTERS = ("container", "name", "image", "command", "created", "state", "runtime", "backend")


def matches(container: Container, created: str, filters: Iterable[tuple[str, str]]) -> bool:
    """Whether all filters hold: `name` exactly, the others as a substring in any case."""
    name = container.installed.name.value
    values = {
        "container": name,
        "image": container.image,
        "command": container.command,
        "created": created,
        "state": container.state,
        "runtime": container.runtime,
        "backend": "ostree",
    }
    return all(
        value == name if key == "name" else value.lower() in values[key].lower()
        for key, value in filters
    )
