# SPDX-License-Identifier: LGPL-2.1-or-later
"""`atomic containers update` of many containers: those that are named, or all."""

from collections.abc import Iterable, Iterator
from dataclasses import replace

from atomic_sys.engine.observe import find, installed
from atomic_sys.engine.report import Report
from atomic_sys.errors import AtomicSysError, reason_of
from atomic_sys.host import Host
from atomic_sys.model.names import ContainerName
from atomic_sys.model.record import Record
from atomic_sys.verbs.switching import RolledBack
from atomic_sys.verbs.update import Status, Update, UpdateResult, update


def update_all(request: Update, host: Host, report: Report) -> Iterator[UpdateResult]:
    """Update every container, one after the other; a failure of one does not stop the others."""
    careful = replace(request, careful=True)
    for found in installed(host.root, host.paths):
        if found.preinstalled:
            continue
        try:
            yield update(found.name, careful, host, report)
        except (AtomicSysError, OSError) as error:
            yield _failure(found.name, found.record, error)


def update_named(
    names: Iterable[ContainerName], request: Update, host: Host, report: Report
) -> Iterator[UpdateResult]:
    """Update them one after the other, until one fails.

    What came of that one is the last result; then its error is raised, as update() raises it.
    """
    for name in names:
        try:
            yield update(name, request, host, report)
        except (AtomicSysError, OSError) as error:
            found = find(host.root, host.paths, name)
            if found is not None:
                yield _failure(name, found.record, error)
            raise


def _failure(
    name: ContainerName, record: Record | None, error: AtomicSysError | OSError
) -> UpdateResult:
    """What came of an update that raised the error; `record` is that of the container."""
    before = "" if record is None else record.revision
    return UpdateResult(
        name=name,
        status=Status.FAILED if isinstance(error, RolledBack) else Status.UNKNOWN,
        before=before,
        after=before,
        reason=reason_of(error),
    )
