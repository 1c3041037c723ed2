# SPDX-License-Identifier: LGPL-2.1-or-later
"""`atomic images prune`: deployments, bundles and objects that nobody needs any more."""

from atomic_sys.engine.observe import all_deployments, installed
from atomic_sys.engine.report import Report
from atomic_sys.frozen import frozen
from atomic_sys.host import Host
from atomic_sys.store.prune import PruneReport
from atomic_sys.verbs.collecting import collect_every
from atomic_sys.verbs.leftovers import remove_leftovers
from atomic_sys.verbs.mounts import clean_mounts
from atomic_sys.verbs.run_once import clean_runs


@frozen
class Pruned:
    """What was removed: from the store, of old deployments, which are called NAME.N, and the paths
    of what commands that died have left.
    """

    store: PruneReport
    deployments: tuple[str, ...]
    leftovers: tuple[str, ...]


def prune_images(host: Host, report: Report) -> Pruned:
    """Free what no image and no deployment needs, and what mounts and runs that are gone have left.

    Deployments that are more than the host keeps go first. Raises Damaged, Busy, OSError.
    """
    clean_mounts(host)
    clean_runs(host)
    collected = tuple(collect_every(host, report))
    leftovers = tuple(remove_leftovers(host))
    pruned = host.store.prune(lambda: _deployed(host))
    return Pruned(store=pruned, deployments=collected, leftovers=leftovers)


def _deployed(host: Host) -> frozenset[str]:
    """The commits of all deployments, and the images of those whose files are elsewhere."""
    records = [
        deployment.record
        for container in installed(host.root, host.paths)
        for deployment in all_deployments(host.root, host.paths, container)
        if deployment.record is not None
    ]
    elsewhere = {record.revision for record in records if record.remote is not None}
    return frozenset({*elsewhere, *(record.commit for record in records)})
