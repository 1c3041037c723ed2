# SPDX-License-Identifier: LGPL-2.1-or-later
"""`atomic containers recover`: deal with what interrupted commands left, for all containers."""

from atomic_sys import log
from atomic_sys.engine import journal
from atomic_sys.engine.report import Report
from atomic_sys.errors import AtomicSysError
from atomic_sys.host import Host
from atomic_sys.model.names import ContainerName
from atomic_sys.verbs.support import claimed


def recover_all(host: Host, report: Report) -> bool:
    """Recover every container that has a journal; whether all could be.

    What is wrong with one is said, and the others are recovered. Raises OSError.
    """
    complete = True
    for text in journal.names(host.root, host.paths.checkouts):
        try:
            with claimed(host, ContainerName.parse(text), report):
                pass  # claiming a name recovers it
        except (AtomicSysError, OSError) as error:
            log.warn(f"{text}: {error}")
            if isinstance(error, AtomicSysError) and error.hint is not None:
                log.note(f"hint: {error.hint}")
            complete = False
    return complete
