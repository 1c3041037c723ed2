# SPDX-License-Identifier: LGPL-2.1-or-later
"""`atomic images prune`: deployments, bundles and objects that nobody needs any more."""

from dataclasses import dataclass

from atomic_sys.engine.observe import all_deployments, installed
from atomic_sys.engine.report import Report
from atomic_sys.host import Host
from atomic_sys.store.prune import PruneReport
from atomic_sys.verbs.collecting import collect_every
from atomic_sys.verbs.mounts import clean_mounts
from atomic_sys.verbs.run_once import clean_runs


@dataclass(frozen=True, slots=True, kw_only=True)
class Pruned:
    """What was removed: from the store, and of old deployments, which are called NAME.N."""

    store: PruneReport
    deployments: tuple[str, ...]


def prune_images(host: Host, report: Report) -> Pruned:
    """Free what no image and no deployment needs, and what mounts and runs that are gone have left.

    Deployments that are more than the host keeps go first. Raises Damaged, Busy, OSError.
    """
    clean_mounts(host)
    clean_runs(host)
    collected = tuple(collect_every(host, report))
    records = [
        deployment.record
        for container in installed(host.root, host.paths)
        for deployment in all_deployments(host.root, host.paths, container)
        if deployment.record is not None
    ]
    kept = {record.commit for record in records}
    kept |= {record.revision for record in records if record.remote is not None}
    return Pruned(store=host.store.prune(keep=kept), deployments=collected)
