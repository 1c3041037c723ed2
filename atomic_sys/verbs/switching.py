# SPDX-License-Identifier: LGPL-2.1-or-later
"""What update and rollback share: look at the host, switch in one transaction, clean up."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from atomic_sys import log
from atomic_sys.engine import dependents, live
from atomic_sys.engine.apply import apply, attempt, finish
from atomic_sys.engine.drift import checksum_in
from atomic_sys.engine.host_changes import HostLook
from atomic_sys.engine.journal_format import Header
from atomic_sys.engine.observe import (
    Installed,
    is_free,
    number_of,
    observe,
    read_deployment_file,
    read_state,
    require,
)
from atomic_sys.engine.operations import Plan, RemoveTree
from atomic_sys.engine.remote_rootfs import users_of
from atomic_sys.engine.switch import Switch, Texts, plan_files, plan_restart
from atomic_sys.errors import AtomicSysError, ExitCode, explain, hint_of
from atomic_sys.frozen import frozen
from atomic_sys.host import Host
from atomic_sys.model.container_state import ContainerState
from atomic_sys.model.names import ContainerName
from atomic_sys.model.record import Record
from atomic_sys.verbs.support import Transaction

DEFAULT_SETTLE = 5.0  # seconds


class RolledBack(AtomicSysError):
    """The new deployment failed, and everything is as it was."""

    exit_code = ExitCode.ROLLED_BACK


@frozen
class Current:
    """The container as it is now; `number` is that of its deployment."""

    installed: Installed
    number: int
    record: Record
    state: ContainerState
    texts: Texts
    enabled: bool
    running: tuple[str, ...]

    @property
    def name(self) -> ContainerName:
        """The container's name."""
        return self.installed.name


def current(name: ContainerName, host: Host) -> Current:
    """The container as it is. Raises NotFound, and AtomicSysError for one that cannot change."""
    found = require(host.root, host.paths, name)
    number, record = number_of(found), found.record
    if found.preinstalled:
        raise AtomicSysError(
            f"Cannot update a preinstalled container: {name}",
            hint="update its package, or install it under another name",
        )
    if record is None:
        raise AtomicSysError(
            f"the record of {name} cannot be read: {found.problem}",
            hint=f"atomic uninstall {name}, and install it again",
        )
    if number is None:
        raise AtomicSysError(f"{name} leads to {found.deployment}, which is no deployment of it")
    texts = Texts(
        unit=read_deployment_file(host.root, host.paths.units, name.unit),
        tmpfiles=read_deployment_file(host.root, host.paths.tmpfiles, name.tmpfiles),
    )
    if texts.unit != read_deployment_file(host.root, found.deployment, name.unit):
        log.warn(
            f"{host.paths.units}/{name.unit} was changed by hand, and will be written anew;"
            f" changes belong into a drop-in: systemctl edit {name}"
        )
    file_state = host.manager.unit_file_state(name.unit) if record.has_service else None
    return Current(
        installed=found,
        number=number,
        record=record,
        state=read_state(host.root, host.paths, name),
        texts=texts,
        enabled=file_state == "enabled",
        running=dependents.running(name.unit, host.manager) if record.has_service else (),
    )


def host_look(host: Host) -> HostLook:
    """How host files are looked at."""

    def read(path: str) -> bytes:
        directory, _, name = path.rpartition("/")
        try:
            return read_deployment_file(host.root, directory or "/", name) or b""
        except OSError:  # too large to be shown
            return b""

    return HostLook(checksum=partial(checksum_in, host.root), read=read)


@frozen
class Way:
    """How to switch: the verb, and what happens when the new deployment fails."""

    verb: str
    roll_back: bool = True


def plan(fill: Plan, switch: Switch, host: Host) -> Plan:
    """Everything, for --dry-run."""
    files = plan_files(switch, host.paths, partial(is_free, host.root))
    return (*fill, *files, *plan_restart(switch))


def perform(fill: Plan, switch: Switch, host: Host, transaction: Transaction, way: Way) -> None:
    """Switch, or leave everything as it was.

    Raises RolledBack in the latter case, AtomicSysError when not all could be put back yet, and
    without rolling back what went wrong with the service.
    """
    name, before = switch.name, require(host.root, host.paths, switch.name).deployment
    header = Header(what=way.verb, say=f"Rolling back container {name} to the checkout at {before}")
    files = plan_files(switch, host.paths, partial(is_free, host.root))
    restart = plan_restart(switch)
    try:
        together = (*fill, *files, *(restart if way.roll_back else ()))
        apply(together, transaction.tools, transaction.journal, header)
    except (AtomicSysError, OSError) as error:
        why = explain(error)
        if transaction.journal.read() is not None:
            raise AtomicSysError(
                f"the {way.verb} of {name} failed, and not everything could be put back: {why}",
                hint="atomic containers recover tries it again",
            ) from error
        raise RolledBack(
            f"the {way.verb} of {name} failed and was rolled back: {why}",
            hint=hint_of(error),
        ) from error
    if not way.roll_back:
        attempt(restart, transaction.tools)


def collect(
    name: ContainerName, keep: Callable[[int], bool], transaction: Transaction, host: Host
) -> tuple[str, ...]:
    """Remove the deployments that are not kept, unless a live process uses them; returns them."""
    deployments = [n for n in observe(host.root, host.paths, name).deployments if not keep(n)]
    roots = live.mounted_roots() if deployments and host.manager.online else frozenset()
    removals = []
    for number in deployments:
        deployment = f"{name}.{number}"
        path = f"{host.paths.checkouts}/{deployment}"
        if live.in_use(deployment, roots) or users_of(path, host.root, host.paths):
            log.note(f"{deployment} is still in use, and stays for now")
        else:
            removals.append(RemoveTree(directory=host.paths.checkouts, name=deployment))
    if removals:
        finish(tuple(removals), transaction.tools, transaction.journal, "collection")
    return tuple(removal.name for removal in removals)


def next_state(now: Current) -> ContainerState:
    """The state once another deployment is current: this one is what a rollback goes to."""
    return replace(now.state, previous=now.number, bad=None)
