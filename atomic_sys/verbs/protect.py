# SPDX-License-Identifier: LGPL-2.1-or-later
"""`atomic containers protect`: all root file systems of the host, as the boot does it."""

from collections.abc import Iterator

from atomic_sys.engine.observe import Installed, all_deployments, installed
from atomic_sys.errors import AtomicSysError
from atomic_sys.frozen import frozen
from atomic_sys.host import Host
from atomic_sys.verbs.support import protect_deployment


@frozen
class Protected:
    """A deployment, and why it is not protected; None where it is."""

    deployment: str
    reason: str | None


def protect_all(host: Host) -> Iterator[Protected]:
    """Protect every deployment of every container, the previous ones too.

    Raises AtomicSysError for another root than the one that runs, Busy, OSError.
    """
    if host.options.root != "/":
        raise AtomicSysError(
            "only root file systems of the running host can be protected",
            hint="they are when the host of this root has booted",
        )
    for container in installed(host.root, host.paths):
        if container.preinstalled:  # of a package, and no hard links of ours
            continue
        with host.locked(container.name):
            for deployment in all_deployments(host.root, host.paths, container):
                if _has_own_rootfs(deployment):
                    name = deployment.deployment
                    yield Protected(deployment=name, reason=protect_deployment(name))


def _has_own_rootfs(deployment: Installed) -> bool:
    record = deployment.record
    return record is None or (record.has_service and record.remote is None)
