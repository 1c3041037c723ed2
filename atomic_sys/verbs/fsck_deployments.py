# SPDX-License-Identifier: LGPL-2.1-or-later
"""`atomic fsck` beyond the store: each deployment's root file system against its commit.

A file that is an object of the store by its inode has been hashed with the store, and others are
hashed here. The unit and the other files of the host are for `containers verify`.
"""

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace

from atomic_sys import log
from atomic_sys.engine import journal
from atomic_sys.engine.observe import Installed, all_deployments, installed, require
from atomic_sys.engine.report import Report
from atomic_sys.engine.verify import Verifier
from atomic_sys.errors import AtomicSysError, NotFound
from atomic_sys.frozen import frozen
from atomic_sys.host import Host
from atomic_sys.verbs.fsck import StoreCheck, check_store
from atomic_sys.verbs.support import claimed

_SHOWN = 3  # paths named in one line; `containers verify` has all


@frozen
class _Differing:
    deployment: Installed
    problem: str


def check_everything(
    host: Host, report: Report, advance: Callable[[int], None], *, repair: bool
) -> StoreCheck:
    """Check the store and every deployment. Raises AtomicSysError, OSError."""
    check = check_store(host, report, advance, repair=repair)
    verifier = Verifier(
        root=host.root, paths=host.paths, store=host.store, damaged=check.report.damaged
    )
    count, found = _look(host, verifier)
    repaired: list[str] = []
    if repair and found:
        repaired = list(_restore(host, report, verifier, found))
        _, found = _look(host, verifier)
    return replace(
        check,
        problems=(*check.problems, *(one.problem for one in found)),
        repaired=(*check.repaired, *repaired),
        deployments=count,
    )


def _look(host: Host, verifier: Verifier) -> tuple[int, list[_Differing]]:
    """How many deployments there are, and what differs."""
    count = 0
    found: list[_Differing] = []
    interrupted = journal.names(host.root, host.paths.checkouts)
    for container in installed(host.root, host.paths):
        if container.preinstalled:
            continue
        if container.name.value in interrupted:
            log.note(f"{container.name}: left by an interrupted command, which the next one ends")
            continue
        with host.locked(container.name), suppress(NotFound):  # gone since
            now = require(host.root, host.paths, container.name)
            for deployment in all_deployments(host.root, host.paths, now):
                if deployment.problem is not None:
                    found.append(_Differing(deployment=deployment, problem=deployment.problem))
                if _is_checkout(deployment):
                    count += 1
                    found += _differing(deployment, verifier)
    return count, found


def _is_checkout(deployment: Installed) -> bool:
    record = deployment.record
    return record is not None and record.has_service and record.remote is None


def _differing(deployment: Installed, verifier: Verifier) -> Iterator[_Differing]:
    try:
        differences = verifier.rootfs(deployment)
    except NotFound as error:
        if deployment.record is not None and deployment.record.from_predecessor:
            log.note(f"{deployment.deployment} cannot be compared: {error}")
        else:
            yield _Differing(deployment=deployment, problem=f"{deployment.deployment}: {error}")
        return
    except (AtomicSysError, OSError) as error:
        yield _Differing(deployment=deployment, problem=f"{deployment.deployment}: {error}")
        return
    if differences:
        first = ", ".join(f"{one.path} ({one.what})" for one in differences[:_SHOWN])
        more = len(differences) - _SHOWN
        tail = f" and {more} more" if more > 0 else ""
        what = f"{deployment.deployment}: not as it was checked out: {first}{tail}"
        yield _Differing(deployment=deployment, problem=what)


def _restore(
    host: Host, report: Report, verifier: Verifier, found: list[_Differing]
) -> Iterator[str]:
    """Put back what can be; the deployments that are whole again."""
    for one in found:
        if one.deployment.record is None:
            continue  # nothing tells what it was made from
        with claimed(host, one.deployment.name, report):
            try:
                verifier.restore_rootfs(one.deployment)
                whole = not verifier.rootfs(one.deployment)
            except (AtomicSysError, OSError):
                continue  # it is still a problem, and said so
            if whole:
                yield one.deployment.deployment
