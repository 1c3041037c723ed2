# SPDX-License-Identifier: LGPL-2.1-or-later
"""`atomic uninstall NAME` and `atomic containers delete NAME...`."""

from collections.abc import Sequence

from atomic_sys import log
from atomic_sys.engine import dependents
from atomic_sys.engine.apply import finish
from atomic_sys.engine.observe import Installed, find, installed, observe, require
from atomic_sys.engine.plan import plan_uninstall
from atomic_sys.engine.report import Report
from atomic_sys.errors import AtomicSysError, doing
from atomic_sys.host import Host
from atomic_sys.model.names import ContainerName
from atomic_sys.verbs.support import claimed


def uninstall(name: ContainerName, host: Host, report: Report) -> None:
    """Remove a container; its state and its image stay.

    It can be tried again until all is gone. Raises NotFound, or AtomicSysError.
    """
    with doing(f"uninstalling {name}"), claimed(host, name, report) as transaction:
        if transaction.recovered and find(host.root, host.paths, name) is None:
            return  # that was the rest of an uninstallation
        found = require(host.root, host.paths, name)
        if found.preinstalled:
            raise AtomicSysError(
                f"{name} came with a package of the distribution", hint="remove that package"
            )
        running = dependents.running(name.unit, host.manager)
        if others := running[1:]:
            log.note(f"{', '.join(others)}: stopped too, since it requires {name.unit}")
        state = observe(host.root, host.paths, name)
        plan = plan_uninstall(found, state, host.paths, running)
        finish(plan, transaction.tools, transaction.journal, "uninstall")


def find_all(names: Sequence[str], host: Host) -> tuple[Installed, ...]:
    """The containers of these names, each once: all of them are found before any is touched.

    Raises NotFound for one that is not there.
    """
    parsed = [ContainerName.parse(name) for name in dict.fromkeys(names)]
    return tuple(require(host.root, host.paths, name) for name in parsed)


def every_container(host: Host) -> tuple[Installed, ...]:
    """All containers that can be removed."""
    return tuple(c for c in installed(host.root, host.paths) if not c.preinstalled)
