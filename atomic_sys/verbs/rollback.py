# SPDX-License-Identifier: LGPL-2.1-or-later
"""`atomic containers rollback NAME` and `deployments NAME`: the deployments that are kept."""

from dataclasses import replace

from atomic_sys.engine import kept_files, predecessor
from atomic_sys.engine.host_changes import plan_host_changes
from atomic_sys.engine.host_files import FILE_LIMIT, HostFilePlan
from atomic_sys.engine.observe import (
    Installed,
    installed,
    number_of,
    observe,
    read_deployment,
    read_deployment_file,
    read_state,
    require,
)
from atomic_sys.engine.operations import InstallHostFile, Plan, ReplaceFile
from atomic_sys.engine.report import Report
from atomic_sys.engine.switch import Switch, Texts
from atomic_sys.errors import AtomicSysError, NotFound, doing
from atomic_sys.frozen import frozen
from atomic_sys.host import Host
from atomic_sys.model.container_state import ContainerState
from atomic_sys.model.health import can_read
from atomic_sys.model.names import ContainerName
from atomic_sys.model.record import RECORD_NAME, Record
from atomic_sys.verbs.remote import require_remote
from atomic_sys.verbs.support import claimed
from atomic_sys.verbs.switching import (
    DEFAULT_SETTLE,
    Current,
    Way,
    current,
    host_look,
    next_state,
    perform,
    plan,
)


@frozen
class Rollback:
    """What is asked for; without `to` it is the deployment before. `settle` is in seconds."""

    to: int | None = None
    settle: float = DEFAULT_SETTLE
    dry_run: bool = False


@frozen
class ListedDeployment:
    """A deployment of a container, and what it is to it."""

    number: int
    record: Record | None
    current: bool
    previous: bool


def deployments(name: ContainerName, host: Host) -> tuple[ListedDeployment, ...]:
    """All deployments of a container, by their numbers. Raises NotFound, OSError."""
    found = require(host.root, host.paths, name)
    state = read_state(host.root, host.paths, name)
    now = number_of(found)
    numbers = observe(host.root, host.paths, name).deployments
    previous = None if now is None else _previous(name, now, state, host)
    return tuple(
        ListedDeployment(
            number=number,
            record=read_deployment(host.root, host.paths, name, number).record,
            current=number == now,
            previous=number == previous,
        )
        for number in numbers
    )


def rollback(name: ContainerName, request: Rollback, host: Host, report: Report) -> Plan:
    """Switch to a deployment that is kept; nothing is rendered again. Returns what was done.

    Raises NotFound, RolledBack when that deployment failed and this one runs again.
    """
    with doing(f"rolling back {name}"), claimed(host, name, report) as transaction:
        now = current(name, host)
        target = _target(now, request, host)
        require_remote(target, host)
        switch = _switch(now, target, request, host)
        planned = plan((), switch, host)
        if not request.dry_run:
            report.say(f"Rolling back container {name} to the checkout at {target.deployment}")
            perform((), switch, host, transaction, Way(verb="rollback"))
    return planned


def _previous(name: ContainerName, now: int, state: ContainerState, host: Host) -> int | None:
    """The deployment before; of a container of the predecessor's, the youngest of the others."""
    others = [n for n in observe(host.root, host.paths, name).deployments if n != now]
    if state.previous in others:
        return state.previous
    records = {n: read_deployment(host.root, host.paths, name, n).record for n in others}
    ages = {n: record.created for n, record in records.items() if record is not None}
    return max(ages, key=lambda n: ages[n], default=None)


def _target(now: Current, request: Rollback, host: Host) -> Installed:
    name, paths = now.name, host.paths
    number = request.to
    if number is None:
        number = _previous(name, now.number, now.state, host)
    if number is None:
        raise NotFound(
            f"Cannot find a previous deployment to rollback located at {paths.checkouts}/{name}.N",
            hint=f"atomic containers deployments {name}",
        )
    if number == now.number:
        raise AtomicSysError(f"{name}.{number} is the current deployment")
    if number not in observe(host.root, paths, name).deployments:
        raise NotFound(
            f"Unable to find the deployment {paths.checkouts}/{name}.{number}",
            hint=f"atomic containers deployments {name}",
        )
    return read_deployment(host.root, paths, name, number)


def _switch(now: Current, target: Installed, request: Rollback, host: Host) -> Switch:
    record, name = target.record, now.name
    if record is None:
        raise AtomicSysError(f"{target.deployment} cannot be used: {target.problem}")
    if record.has_service != now.record.has_service:
        raise AtomicSysError(f"only one of the two deployments of {name} has a service")
    if not can_read(record.data_version, now.record.data_version):
        raise AtomicSysError(
            f"{target.deployment} cannot read the data that the current deployment left",
            hint="restore the data of that time first, and install the image anew",
        )
    texts = Texts(
        unit=read_deployment_file(host.root, target.deployment, name.unit),
        tmpfiles=read_deployment_file(host.root, target.deployment, f"tmpfiles-{name.tmpfiles}"),
    )
    if record.has_service and texts.unit is None:
        raise AtomicSysError(
            "Cannot find systemd service file for previous version."
            f" The previous checkout at {target.deployment} may be corrupted."
        )
    host_files, changed = _host_files(now, target, record, host)
    number = number_of(target)
    return Switch(
        name=name,
        number=-1 if number is None else number,
        record=changed,
        now=now.texts,
        next=texts,
        host_files=host_files,
        state=next_state(now),
        enabled=now.enabled,
        running=now.running,
        settle=request.settle,
    )


def _host_files(
    now: Current, target: Installed, record: Record, host: Host
) -> tuple[HostFilePlan, Record]:
    """The host files of that deployment by its own copies, and its record with what will be."""
    items = _kept(target, record, host)
    others = [one for one in installed(host.root, host.paths) if one.name != now.name]
    planned = plan_host_changes(items, (), now.record, others, host_look(host))
    changed = record.with_host_files(planned.checksums, planned.directories)
    if changed == record:
        return planned, record
    path = f"{target.deployment}/{RECORD_NAME}"
    written = ReplaceFile(path=path, content=changed.to_json())
    return replace(planned, operations=(*planned.operations, written)), changed


def _kept(target: Installed, record: Record, host: Host) -> tuple[InstallHostFile, ...]:
    deployment = target.deployment
    document = read_deployment_file(host.root, deployment, kept_files.LIST_NAME)
    if document is None:  # the predecessor kept no copies, and we none where there are no files
        return predecessor.host_items(target, record, host.root) if record.host_files else ()

    def read(name: str) -> bytes | None:
        directory = f"{deployment}/{kept_files.DIRECTORY}"
        return read_deployment_file(host.root, directory, name, FILE_LIMIT)

    return kept_files.kept(document, read, f"{deployment}/{kept_files.LIST_NAME}")
