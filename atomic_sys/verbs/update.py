# SPDX-License-Identifier: LGPL-2.1-or-later
"""`atomic containers update NAME`: ask the source, fill a new deployment, switch, and watch."""

import contextlib
from collections.abc import Mapping
from dataclasses import field, replace
from enum import Enum

from atomic_sys.engine.apply import apply
from atomic_sys.engine.health import Unhealthy
from atomic_sys.engine.host_changes import plan_host_changes
from atomic_sys.engine.host_files import HostFilePlan, host_items
from atomic_sys.engine.journal_format import Header
from atomic_sys.engine.observe import installed, observe, read_deployment_file
from atomic_sys.engine.operations import Plan, ReplaceFile
from atomic_sys.engine.plan import Wanted, deployment_path, fill_deployment, made_by_tmpfiles
from atomic_sys.engine.predecessor import chosen_values
from atomic_sys.engine.prepare import Deployment, read_exports
from atomic_sys.engine.pull import Pulled
from atomic_sys.engine.remote_rootfs import OtherFiles
from atomic_sys.engine.report import Report
from atomic_sys.engine.switch import Switch, Texts
from atomic_sys.errors import AtomicSysError, doing
from atomic_sys.frozen import frozen
from atomic_sys.host import Host
from atomic_sys.model.health import can_read
from atomic_sys.model.hooks import Hook
from atomic_sys.model.names import ContainerName
from atomic_sys.model.record import RECORD_NAME, Record
from atomic_sys.render.render import Rendered
from atomic_sys.systemd.manager import StartFailed
from atomic_sys.verbs.chosen_values import changed_values, known_values
from atomic_sys.verbs.collecting import collect_old
from atomic_sys.verbs.finding import kept_image, latest_image
from atomic_sys.verbs.hooks import plan_hook, run_hook
from atomic_sys.verbs.install import make_record
from atomic_sys.verbs.remote import prepare_anywhere
from atomic_sys.verbs.state import remember_bad
from atomic_sys.verbs.support import Transaction, claimed, make_view
from atomic_sys.verbs.switching import (
    DEFAULT_SETTLE,
    Current,
    RolledBack,
    Way,
    current,
    host_look,
    next_state,
    perform,
    plan,
)


@frozen
class Update:
    """What is asked for; `settle` is in seconds. `careful` passes over what failed before.

    `rootfs` is another directory with its files, as for Install.
    """

    rebase: str | None = None
    values: Mapping[str, str] = field(default_factory=dict)
    unset: tuple[str, ...] = ()
    rootfs: str | None = None
    pull: bool = True
    roll_back: bool = True
    settle: float = DEFAULT_SETTLE
    dry_run: bool = False
    careful: bool = False


class Status(Enum):
    """What came of it, in the predecessor's words."""

    UPDATED_NOW = "Updated now"
    UPDATED = "Updated"  # it was already
    NOT_UPDATED = "Not updated"
    FAILED = "Failed"
    UNKNOWN = "Unknown"


@frozen
class UpdateResult:
    """Image ids are digests in hex; `plan` is what a dry run would have done."""

    name: ContainerName
    status: Status
    before: str
    after: str
    latest: str = ""
    reason: str = ""
    plan: Plan | None = None


def update(name: ContainerName, request: Update, host: Host, report: Report) -> UpdateResult:
    """Update a container, or change nothing.

    Raises RolledBack when the new deployment failed and the old one runs again, and AtomicSysError
    for whatever keeps it from being tried.
    """
    with (
        doing(f"updating {name}"),
        claimed(host, name, report) as transaction,
        contextlib.ExitStack() as holding,
    ):
        now = current(name, host)
        if now.state.held:
            return _not_updated(now, request, "it is held")
        chosen = chosen_values(now.installed, now.record, host.root)
        values = changed_values(chosen, request.values, request.unset)
        record = replace(now.record, remote=request.rootfs or now.record.remote)
        find = latest_image if request.pull else kept_image
        pulled = find(record, request.rebase, host, report)
        holding.enter_context(host.store.in_use())  # or a prune might take what nothing has yet
        digest = pulled.image.digest
        wanted = replace(record, revision=digest.hex, user_values=values)
        if wanted == replace(now.record, user_values=chosen):
            _follow(now, request, pulled, transaction)
            return _result(now, Status.UPDATED, pulled)
        if request.careful and now.state.bad == str(digest):
            return replace(
                _result(now, Status.NOT_UPDATED, pulled), reason="this image failed before"
            )
        try:
            fill, switch = _wanted(now, request, wanted, pulled, host)
        except OtherFiles as error:
            if not request.careful:
                raise
            return replace(_result(now, Status.NOT_UPDATED, pulled), reason=str(error))
        hook = plan_hook(now.installed, Hook.PRE_UPDATE, host)
        if request.dry_run:
            all_of_it = (*hook, *plan(fill, switch, host))
            return replace(_result(now, Status.NOT_UPDATED, pulled), plan=all_of_it)
        run_hook(hook, transaction)
        _switch(fill, switch, request, host, transaction)
        collect_old(name, transaction, host)
    return replace(_result(now, Status.UPDATED_NOW, pulled), after=digest.hex)


def _follow(now: Current, request: Update, pulled: Pulled, transaction: Transaction) -> None:
    """Another name for the image that is there already: from now on an update asks that."""
    source = pulled.image.source or ""
    if request.rebase is None or request.dry_run or source == now.record.source:
        return
    record = replace(now.record, image=request.rebase, source=source)
    path = f"{now.installed.deployment}/{RECORD_NAME}"
    written = ReplaceFile(path=path, content=record.to_json())
    apply((written,), transaction.tools, transaction.journal, Header(what="update"))


def _switch(
    fill: Plan, switch: Switch, request: Update, host: Host, transaction: Transaction
) -> None:
    if switch.record.remote is not None:  # as at the installation
        transaction.tools.say(
            f"Extracting to {deployment_path(host.paths, switch.name, switch.number)}"
        )
    try:
        perform(fill, switch, host, transaction, Way(verb="update", roll_back=request.roll_back))
    except RolledBack as error:
        # Remembered outside of the transaction, which is as if it had never been. On a full disk
        # the cause is NoSpace, whatever failed: that is no fault of the image's.
        if isinstance(error.__cause__, StartFailed | Unhealthy):
            remember_bad(switch.name, f"sha256:{switch.record.revision}", host)
        raise


def _result(now: Current, status: Status, pulled: Pulled) -> UpdateResult:
    before = now.record.revision
    return UpdateResult(
        name=now.name, status=status, before=before, after=before, latest=pulled.image.digest.hex
    )


def _not_updated(now: Current, request: Update, reason: str) -> UpdateResult:
    """A held container; whoever names it has to be told. Raises AtomicSysError."""
    if not request.careful:
        raise AtomicSysError(
            f"{now.name} is held", hint=f"atomic containers unhold {now.name}, then update it"
        )
    before = now.record.revision
    return UpdateResult(
        name=now.name, status=Status.NOT_UPDATED, before=before, after=before, reason=reason
    )


def _wanted(
    now: Current, request: Update, wanted: Record, pulled: Pulled, host: Host
) -> tuple[Plan, Switch]:
    """Render everything and check it, before anything is changed."""
    name, store, values = now.name, host.store, wanted.user_values
    number = observe(host.root, host.paths, name).free_number
    tree = store.tree(pulled.image)
    if now.record.from_predecessor:
        values = known_values(values, read_exports(pulled.image, tree))
    deployment = Deployment(
        name=name,
        directory=deployment_path(host.paths, name, number),
        user_values=values,
        uuid=now.record.values.get("UUID"),
        rootfs=wanted.remote,
    )
    view = make_view(host, now.record.runtime or host.paths.runtime)
    prepared = prepare_anywhere(deployment, pulled.image, tree, view, host)
    rendered = prepared.rendered
    record = make_record(request.rebase or now.record.image, pulled, rendered, store)
    _check(now, rendered, record)
    look = host_look(host)
    others = [one for one in installed(host.root, host.paths) if one.name != name]
    host_files = plan_host_changes(
        host_items(rendered, tree), rendered.host_files.directories, now.record, others, look
    )
    made = made_by_tmpfiles(rendered.tmpfiles or "", lambda path: look.checksum(path) is None)
    directories = tuple(dict.fromkeys((*host_files.directories, *made)))
    record = replace(record, remote=wanted.remote)
    next_one = Wanted(
        name=name,
        number=number,
        image=str(pulled.image.name),
        rendered=rendered,
        host_files=host_files,
        record=record.with_host_files(host_files.checksums, directories),
        rootfs=prepared.rootfs,
    )
    return _fill(next_one, now, host), _as_switch(next_one, now, host_files, request)


def _check(now: Current, rendered: Rendered, record: Record) -> None:
    """Raises AtomicSysError for an image that cannot follow the one that is there."""
    if (rendered.unit is not None) != now.record.has_service:
        raise AtomicSysError(
            f"the new image of {now.name} {'has no' if rendered.unit is None else 'has a'} service",
            hint="uninstall the container, and install the new image",
        )
    if not can_read(record.data_version, now.record.data_version):
        raise AtomicSysError(
            f"the new image of {now.name} cannot read the data that the old one left",
            hint="update to an image in between, whose dataVersion reads it",
        )


def _fill(wanted: Wanted, now: Current, host: Host) -> Plan:
    def before(name: str) -> bytes:
        return read_deployment_file(host.root, now.installed.deployment, name) or b""

    return fill_deployment(wanted, host.paths, before)


def _as_switch(wanted: Wanted, now: Current, host_files: HostFilePlan, request: Update) -> Switch:
    rendered = wanted.rendered
    return Switch(
        name=wanted.name,
        number=wanted.number,
        record=wanted.record,
        now=now.texts,
        next=Texts(
            unit=None if rendered.unit is None else rendered.unit.encode(),
            tmpfiles=None if rendered.tmpfiles is None else rendered.tmpfiles.encode(),
        ),
        host_files=host_files,
        state=next_state(now),
        enabled=now.enabled,
        running=now.running,
        settle=request.settle,
    )
