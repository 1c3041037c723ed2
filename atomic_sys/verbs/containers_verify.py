# SPDX-License-Identifier: LGPL-2.1-or-later
"""`atomic containers verify`: are the files of a container as they were installed?"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from atomic_sys.engine.observe import Installed, require
from atomic_sys.engine.report import Report
from atomic_sys.engine.verify import Finding, Verifier
from atomic_sys.errors import doing
from atomic_sys.host import Host
from atomic_sys.model.names import ContainerName
from atomic_sys.verbs.fsck import check_store
from atomic_sys.verbs.support import claimed


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """A container: what differed, and what still does after a repair."""

    name: ContainerName
    found: tuple[Finding, ...]
    left: tuple[Finding, ...]


def verify_containers(
    containers: Sequence[Installed],
    host: Host,
    report: Report,
    advance: Callable[[int], None],
    *,
    repair: bool,
) -> tuple[Verified, ...]:
    """Verify these containers, and put back what differs.

    The store is repaired first where it has to give what it does not have whole. Raises NotFound
    for one that an interrupted command had only begun to install, AtomicSysError, OSError.
    """
    verifier = Verifier(root=host.root, paths=host.paths, store=host.store)
    answers: list[Verified] = []
    for name in (container.name for container in containers):
        with doing(f"verifying {name}"), claimed(host, name, report):
            container = require(host.root, host.paths, name)  # recovery may have led it elsewhere
            found = left = verifier.verify(container)
            if found and repair:
                if verifier.needs_store(container):
                    check_store(host, report, advance, repair=True)
                left = verifier.restore(container)
            answers.append(Verified(name=name, found=found, left=left))
    if repair and any(answer.found for answer in answers) and host.manager.online:
        host.manager.reload()  # a unit may have been put back
    return tuple(answers)
