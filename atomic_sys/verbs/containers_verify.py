# SPDX-License-Identifier: LGPL-2.1-or-later
"""`atomic containers verify`: are the files of a container as they were installed?"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from atomic_sys import log
from atomic_sys.engine.observe import Installed, find, require, rootfs_path
from atomic_sys.engine.own_files import is_recorded
from atomic_sys.engine.prepare import Deployment, prepare
from atomic_sys.engine.rendered_files import RenderedFile, rendered_files
from atomic_sys.engine.report import Report
from atomic_sys.engine.verify import Finding, Verifier, deployed_tree
from atomic_sys.errors import AtomicSysError, doing
from atomic_sys.frozen import frozen
from atomic_sys.host import Host
from atomic_sys.model.digest import Digest
from atomic_sys.model.names import ContainerName
from atomic_sys.model.record import Record
from atomic_sys.render.values import OVERRIDABLE
from atomic_sys.store.images import StoredImage
from atomic_sys.store.outlines import Outlines
from atomic_sys.verbs.fsck import check_store
from atomic_sys.verbs.support import claimed, make_view
from atomic_sys.verbs.uninstall import every_container


@frozen
class Verified:
    """A container: what differed, and what still does after a repair.

    `recorded` is whether the checksums of its rendered files are, which the predecessor kept none
    of: without them nobody can tell whether its config.json is the one that was installed.
    """

    name: ContainerName
    found: tuple[Finding, ...]
    left: tuple[Finding, ...]
    recorded: bool


def verify_containers(
    containers: Sequence[Installed] | None,
    host: Host,
    report: Report,
    advance: Callable[[int], None],
    *,
    repair: bool,
) -> tuple[Verified, ...]:
    """Verify these containers, or (None) all that there are, and put back what differs.

    The store is repaired first where it has to give what it does not have whole. Raises NotFound
    for one that an interrupted command had only begun to install, AtomicSysError, OSError.
    """
    verifier = Verifier(
        root=host.root, paths=host.paths, store=host.store, render=partial(_render_again, host)
    )
    answers: list[Verified] = []
    chosen = every_container(host) if containers is None else containers
    for name in (one.name for one in chosen):
        with doing(f"verifying {name}"), claimed(host, name, report):
            if containers is None and find(host.root, host.paths, name) is None:
                continue  # uninstalled since
            container = require(host.root, host.paths, name)  # recovery may have led it elsewhere
            found = left = verifier.verify(container)
            if found and repair:
                if verifier.needs_store(container):
                    for why in check_store(host, report, advance, repair=True).failed:
                        log.warn(f"could not repair {why}")
                left = verifier.restore(container)
            recorded = is_recorded(container)
            answers.append(Verified(name=name, found=found, left=left, recorded=recorded))
    if repair and any(answer.found for answer in answers) and host.manager.online:
        host.manager.reload()  # a unit may have been put back
    return tuple(answers)


def _render_again(host: Host, container: Installed) -> Mapping[str, RenderedFile]:
    """The files of a deployment from the same image and values; none where they cannot be had."""
    record = container.record
    image = None if record is None else _image(record, host)
    if record is None or image is None:
        return {}
    deployment = Deployment(
        name=container.name,
        directory=container.deployment,
        # What was computed then counts, not what would be today.
        user_values={
            name: value
            for name, value in record.values.items()
            if name in record.user_values or name in OVERRIDABLE
        },
        uuid=record.values.get("UUID"),
        rootfs=None if record.remote is None else rootfs_path(host.root, container),
    )
    try:
        view = make_view(host, record.runtime or host.paths.runtime)
        tree = deployed_tree(host.store, record)
        return rendered_files(prepare(deployment, image, tree, host.store, view))
    except AtomicSysError as error:
        log.warn(f"{container.name} cannot be rendered again: {error}")
        return {}


def _image(record: Record, host: Host) -> StoredImage | None:
    digest = Digest.parse(f"sha256:{record.revision}")
    found = (image for image in host.store.images() if image.digest == digest)
    return next(found, None) or Outlines(host.store).image(digest)
