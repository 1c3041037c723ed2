# SPDX-License-Identifier: LGPL-2.1-or-later
"""From one deployment to another that is whole: what update and rollback have in common. Pure.

Files first, then the running service: it goes on undisturbed until everything is in its place.
"""

from collections.abc import Callable

from atomic_sys.engine.declared import Confirm
from atomic_sys.engine.host_files import HostFilePlan
from atomic_sys.engine.operations import (
    CreateTmpfiles,
    Operation,
    Plan,
    Protect,
    Reenable,
    Reload,
    RemoveFile,
    ReplaceFile,
    Start,
    StartDependents,
    Stop,
    SwapLink,
)
from atomic_sys.engine.plan import deployment_path, made_by_tmpfiles
from atomic_sys.engine.rendered_files import SECRET_MODE
from atomic_sys.frozen import frozen
from atomic_sys.model.container_state import STATE_DIRECTORY, ContainerState
from atomic_sys.model.names import ContainerName
from atomic_sys.model.record import Record
from atomic_sys.paths import Paths


@frozen
class Texts:
    """Unit and tmpfiles of a container; None for one that it does not have."""

    unit: bytes | None
    tmpfiles: bytes | None


@frozen
class Switch:
    """What is to be changed; `now` are the texts on the host, `next` those that are wanted.

    `running` are the units that run and that stopping the container stops, itself the first;
    `settle` is in seconds.
    """

    name: ContainerName
    number: int
    record: Record
    now: Texts
    next: Texts
    host_files: HostFilePlan
    state: ContainerState
    enabled: bool
    running: tuple[str, ...]
    settle: float


def plan_files(switch: Switch, paths: Paths, is_free: Callable[[str], bool]) -> Plan:
    """The operations up to the restart; the service does not notice them."""
    name, now, wanted = switch.name, switch.now, switch.next
    unit, tmpfiles = f"{paths.units}/{name.unit}", f"{paths.tmpfiles}/{name.tmpfiles}"
    state = f"{paths.checkouts}/{STATE_DIRECTORY}/{name}.json"
    operations: list[Operation] = [
        *switch.host_files.operations,
        *_text(unit, now.unit, wanted.unit),
        *_text(tmpfiles, now.tmpfiles, wanted.tmpfiles),
        ReplaceFile(path=state, content=switch.state.to_json(), mode=SECRET_MODE),
        SwapLink(
            directory=paths.checkouts,
            name=name.value,
            target=deployment_path(paths, name, switch.number),
        ),
    ]
    if wanted.unit is not None:
        if switch.enabled and _install(now.unit or b"") != _install(wanted.unit):
            operations.append(Reenable(unit=name.unit))
        operations.append(Reload())
    if wanted.tmpfiles is not None:
        made = made_by_tmpfiles(wanted.tmpfiles.decode("utf-8", "replace"), is_free)
        operations.append(CreateTmpfiles(path=tmpfiles, missing=made))
    if wanted.unit is not None and switch.record.remote is None:
        operations.append(Protect(directory=deployment_path(paths, name, switch.number)))
    return tuple(operations)


def plan_restart(switch: Switch) -> Plan:
    """The operations from the stop until all that ran runs again; none where nothing ran."""
    if not switch.running or switch.next.unit is None:
        return ()
    unit, container, runtime = switch.name.unit, switch.name.value, switch.record.runtime
    operations: list[Operation] = [
        Stop(unit=unit, container=container, runtime=runtime, again=switch.running),
        Start(unit=unit, container=container, runtime=runtime),
        Confirm(
            unit=unit,
            container=container,
            runtime=runtime,
            settle=switch.settle,
            health=switch.record.health,
        ),
    ]
    if len(switch.running) > 1:
        operations.append(StartDependents(units=switch.running[1:]))
    return tuple(operations)


def _text(path: str, now: bytes | None, wanted: bytes | None) -> tuple[Operation, ...]:
    if wanted is None:
        return () if now is None else (RemoveFile(path=path),)
    return (ReplaceFile(path=path, content=wanted, mode=0o644, before=now or b""),)


def _install(unit: bytes) -> tuple[bytes, ...]:
    """The lines of the [Install] section."""
    lines, inside = [], False
    for line in map(bytes.strip, unit.splitlines()):
        if line.startswith(b"["):
            inside = line == b"[Install]"
        elif inside and line and not line.startswith((b"#", b";")):
            lines.append(line)
    return tuple(lines)
