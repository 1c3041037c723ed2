# SPDX-License-Identifier: LGPL-2.1-or-later
"""`atomic install --system IMAGE`: pull, render, plan, apply."""

import time
from collections.abc import Mapping
from dataclasses import field, replace
from functools import partial

from atomic_sys import log
from atomic_sys.engine.apply import apply
from atomic_sys.engine.host_files import plan_host_files
from atomic_sys.engine.journal_format import Header
from atomic_sys.engine.observe import Installed, NameState, installed, is_free, observe
from atomic_sys.engine.operations import Plan
from atomic_sys.engine.plan import Wanted, deployment_path, made_by_tmpfiles, plan_install
from atomic_sys.engine.prepare import Deployment
from atomic_sys.engine.pull import Pulled
from atomic_sys.engine.rendered_files import checksums
from atomic_sys.engine.report import Report
from atomic_sys.errors import AtomicSysError, UsageError, doing
from atomic_sys.frozen import frozen
from atomic_sys.host import Host
from atomic_sys.model import image_config
from atomic_sys.model.names import ContainerName
from atomic_sys.model.record import Record
from atomic_sys.render.render import Rendered
from atomic_sys.render.unit import Ordering
from atomic_sys.store.store import Store
from atomic_sys.verbs.finding import fetch_for, find_image
from atomic_sys.verbs.remote import prepare_anywhere
from atomic_sys.verbs.run_once import wants_to_run_once
from atomic_sys.verbs.support import START_TIMEOUT, claimed, make_view, parse_image


@frozen
class Install:
    """What is asked for; without a name, the image's basename and tag make one.

    `rootfs` is an absolute path, as seen from inside the root, of a directory with its files.
    """

    image: str
    name: str | None = None
    values: Mapping[str, str] = field(default_factory=dict)
    runtime: str | None = None
    rootfs: str | None = None
    enable: bool = True
    start: bool = False
    dry_run: bool = False
    ordering: Ordering = field(default_factory=Ordering)


@frozen
class InstallResult:
    """What came of it; `plan` is None when the container was there already, with this `record`.

    `once`: nothing is installed, since the image wants to be run once.
    """

    name: ContainerName
    image: str
    pulled: Pulled | None
    plan: Plan | None
    deployment: str
    once: bool = False
    record: Record | None = None

    @property
    def digest(self) -> str | None:
        """The image's; None where the container's record cannot be read."""
        if self.pulled is not None:
            return str(self.pulled.image.digest)
        return None if self.record is None else f"sha256:{self.record.revision}"

    @property
    def signers(self) -> tuple[str, ...]:
        """Whose signatures the policy has accepted."""
        if self.pulled is not None:
            return self.pulled.verdict.signers()
        return () if self.record is None else self.record.signers


def install(request: Install, host: Host, report: Report) -> InstallResult:
    """Install a container, or change nothing.

    Raises AtomicSysError; then nothing is left but the image in the store.
    """
    source = parse_image(request.image)
    name = ContainerName.parse(request.name or source.name.default_container_name)
    with doing(f"installing {name}"), claimed(host, name, report) as transaction:
        state = observe(host.root, host.paths, name)
        if state.installed is not None:
            return _already(request, state.installed, host)
        fetch = fetch_for(request.rootfs)
        pulled = find_image(source, request.image, host, report, fetch)
        if wants_to_run_once(pulled, host):
            if request.rootfs is not None:
                raise UsageError("--rootfs is for services, and this image runs once")
            return InstallResult(
                name=name, image=request.image, pulled=pulled, plan=(), deployment="", once=True
            )
        _check_free(state, host)
        with host.store.in_use():  # or a prune might take what no deployment has yet
            wanted = _wanted(request, state, pulled, host)
            plan = plan_install(wanted, host.paths, partial(is_free, host.root))
            if not request.dry_run:
                if wanted.rootfs is not None:  # by that word, clients know of a change
                    report.say(f"Extracting to {deployment_path(host.paths, name, wanted.number)}")
                apply(plan, transaction.tools, transaction.journal, Header(what="install"))
    return InstallResult(
        name=name,
        image=request.image,
        pulled=pulled,
        plan=plan,
        deployment=deployment_path(host.paths, name, wanted.number),
    )


def _already(request: Install, found: Installed, host: Host) -> InstallResult:
    """Nothing to install; with --now it is started, if it does not run. Raises StartFailed."""
    has_service = found.record is None or found.record.has_service
    if request.start and has_service and not request.dry_run:
        host.manager.start(found.name.unit, timeout=START_TIMEOUT)
    return InstallResult(
        name=found.name,
        image=request.image,
        pulled=None,
        plan=None,
        deployment=found.deployment,
        record=found.record,
    )


def _check_free(state: NameState, host: Host) -> None:
    """Raises AtomicSysError where files of somebody else have the names that we need."""
    for exists, path in (
        (state.unit_exists, f"{host.paths.units}/{state.name.unit}"),
        (state.tmpfiles_exist, f"{host.paths.tmpfiles}/{state.name.tmpfiles}"),
    ):
        if exists:
            raise AtomicSysError(
                f"The file {path} already exists.", hint="remove it, or choose a --name"
            )
    if state.vendor_unit_exists:
        log.warn(f"{host.paths.vendor_units}/{state.name.unit} will be shadowed by the container's")


def _wanted(request: Install, state: NameState, pulled: Pulled, host: Host) -> Wanted:
    """Render everything and check it, before anything is changed."""
    image, store, name = pulled.image, host.store, state.name
    runtime = request.runtime or host.paths.runtime
    tree = store.tree(image)
    deployment = Deployment(
        name=name,
        directory=deployment_path(host.paths, name, state.free_number),
        user_values=request.values,
        rootfs=request.rootfs,
    )
    prepared = prepare_anywhere(deployment, image, tree, make_view(host, runtime), host)
    rendered = prepared.rendered
    others = installed(host.root, host.paths)
    host_files = plan_host_files(rendered, tree, others, partial(is_free, host.root))
    record = make_record(request.image, pulled, rendered, store)
    record = replace(record, remote=request.rootfs)
    made = made_by_tmpfiles(rendered.tmpfiles or "", partial(is_free, host.root))
    directories = tuple(dict.fromkeys((*host_files.directories, *made)))
    return Wanted(
        name=name,
        number=state.free_number,
        image=str(image.name),
        rendered=rendered,
        host_files=host_files,
        record=record.with_host_files(host_files.checksums, directories),
        enable=request.enable,
        start=request.start,
        drop_in=request.ordering.drop_in(),
        rootfs=prepared.rootfs,
    )


def make_record(typed: str, pulled: Pulled, rendered: Rendered, store: Store) -> Record:
    """The record of a deployment, but for its host files; `typed` is the image's argument."""
    settings, verdict, image = rendered.settings, pulled.verdict, pulled.image
    return Record(
        image=typed,
        revision=image.digest.hex,
        commit=store.tree(image).commit,
        created=int(time.time()),
        values=rendered.values.all,
        user_values=rendered.values.user,
        has_service=rendered.unit is not None,
        host_file_templates=settings.installed_files_template,
        renamed_files=settings.rename_files,
        use_links=settings.use_links,
        runtime=rendered.values.all["RUNTIME"],
        source=image.source or "",
        signers=verdict.signers(),
        verdict=verdict.as_json(typed),
        health=settings.health or image_config.parse(store.config(image)).health,
        data_version=settings.data_version,
        state=rendered.state,
        hooks=settings.hooks,
        checksums=checksums(rendered),
    )
