# SPDX-License-Identifier: LGPL-2.1-or-later
"""`atomic containers verify`: are the files of a container as they were installed?"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from atomic_sys.engine.observe import Installed, find, require
from atomic_sys.engine.report import Report
from atomic_sys.engine.verify import Finding, Verifier
from atomic_sys.errors import doing
from atomic_sys.host import Host
from atomic_sys.log import warn
from atomic_sys.model.names import ContainerName
from atomic_sys.verbs.fsck import check_store
from atomic_sys.verbs.support import claimed
from atomic_sys.verbs.uninstall import every_container


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """A container: what differed, and what still does after a repair."""

    name: ContainerName
    found: tuple[Finding, ...]
    left: tuple[Finding, ...]


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
    verifier = Verifier(root=host.root, paths=host.paths, store=host.store)
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
                        warn(f"could not repair {why}")
                left = verifier.restore(container)
            answers.append(Verified(name=name, found=found, left=left))
    if repair and any(answer.found for answer in answers) and host.manager.online:
        host.manager.reload()  # a unit may have been put back
    return tuple(answers)
