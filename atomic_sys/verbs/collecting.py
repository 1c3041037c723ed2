# SPDX-License-Identifier: LGPL-2.1-or-later
"""Old deployments: how many of a container are kept, and what nobody has any more.

Sources: the contract, section 3 (`deployments` of atomic.conf); the predecessor's `images prune`.
"""

from collections.abc import Iterator, Mapping

from atomic_sys import log
from atomic_sys.engine.observe import (
    deployed_names,
    exists_in,
    find,
    number_of,
    observe,
    read_deployment,
    read_state,
)
from atomic_sys.engine.report import Report
from atomic_sys.errors import Busy
from atomic_sys.host import Host
from atomic_sys.model.names import ContainerName
from atomic_sys.model.record import RECORD_NAME
from atomic_sys.verbs.support import Transaction, claimed
from atomic_sys.verbs.switching import collect


def collect_old(name: ContainerName, transaction: Transaction, host: Host) -> tuple[str, ...]:
    """Remove the deployments of a container that are more than the host keeps; which those were.

    Those that a live process uses stay. Of a name that nothing is installed under, all go. Raises
    AtomicSysError, OSError.
    """
    return collect(name, _kept(name, host).__contains__, transaction, host)


def collect_every(host: Host, report: Report) -> Iterator[str]:
    """The same for all names; one that somebody is busy with is passed over."""
    limit = host.configuration.deployments
    for name in deployed_names(host.root, host.paths):
        state = observe(host.root, host.paths, name)
        if state.installed is not None and len(state.deployments) <= limit:
            continue
        try:
            with claimed(host, name, report) as transaction:
                yield from collect_old(name, transaction, host)
        except Busy as error:
            log.note(f"{error}: its deployments stay for now")


def _kept(name: ContainerName, host: Host) -> frozenset[int]:
    """The current and the previous deployment, and as many of the youngest others as wanted."""
    found = find(host.root, host.paths, name)
    numbers = observe(host.root, host.paths, name).deployments
    if found is None:
        return frozenset(n for n in numbers if not _is_deployment(name, n, host))
    records = {n: read_deployment(host.root, host.paths, name, n).record for n in numbers}
    created = {n: 0 if record is None else record.created for n, record in records.items()}
    previous = read_state(host.root, host.paths, name).previous
    return choose(number_of(found), previous, created, host.configuration.deployments)


def _is_deployment(name: ContainerName, number: int, host: Host) -> bool:
    """Whether it has what only a deployment has: the name alone may be somebody else's."""
    path = f"{host.paths.checkouts}/{name}.{number}"
    return any(exists_in(host.root, path, part) for part in (RECORD_NAME, "rootfs"))


def choose(
    current: int | None, previous: int | None, created: Mapping[int, int], most: int
) -> frozenset[int]:
    """Which deployments are kept, by their numbers and the times at which they were made. Pure.

    A container of the predecessor's has no previous one written down: there it is the youngest.
    """
    first = [n for n in (current, previous) if n is not None and n in created]
    young = sorted(created, key=lambda n: (created[n], n), reverse=True)
    return frozenset(list(dict.fromkeys((*first, *young)))[:most])
