# SPDX-License-Identifier: LGPL-2.1-or-later
"""`atomic containers update --all`."""

from collections.abc import Iterator
from dataclasses import replace

from atomic_sys.engine.observe import installed
from atomic_sys.engine.report import Report
from atomic_sys.errors import AtomicSysError
from atomic_sys.host import Host
from atomic_sys.verbs.switching import RolledBack
from atomic_sys.verbs.update import Status, Update, UpdateResult, update


def update_all(request: Update, host: Host, report: Report) -> Iterator[UpdateResult]:
    """Update every container, one after the other; a failure of one does not stop the others."""
    careful = replace(request, careful=True)
    for found in installed(host.root, host.paths):
        if found.preinstalled:
            continue
        before = "" if found.record is None else found.record.revision
        try:
            yield update(found.name, careful, host, report)
        except (AtomicSysError, OSError) as error:
            rolled_back = isinstance(error, RolledBack)
            yield UpdateResult(
                name=found.name,
                status=Status.FAILED if rolled_back else Status.UNKNOWN,
                before=before,
                after=before,
                latest="",
                reason=str(error),
            )
