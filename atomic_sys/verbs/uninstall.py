# SPDX-License-Identifier: LGPL-2.1-or-later
"""`atomic uninstall NAME` and `atomic containers delete NAME...`."""

from collections.abc import Collection, Sequence

from atomic_sys import log
from atomic_sys.engine import dependents, purge
from atomic_sys.engine.apply import finish
from atomic_sys.engine.declared import RemoveState
from atomic_sys.engine.declared_steps import HookFailed
from atomic_sys.engine.observe import (
    Installed,
    all_deployments,
    find,
    installed,
    observe,
    require,
)
from atomic_sys.engine.operations import Plan
from atomic_sys.engine.plan import plan_uninstall
from atomic_sys.engine.report import Report
from atomic_sys.engine.state_rules import StatePath
from atomic_sys.errors import AtomicSysError, NoSpace, doing
from atomic_sys.frozen import frozen
from atomic_sys.host import Host
from atomic_sys.model.hooks import Hook
from atomic_sys.model.names import ContainerName
from atomic_sys.verbs.hooks import plan_hook, run_hook
from atomic_sys.verbs.remote import refuse_used
from atomic_sys.verbs.support import claimed


@frozen
class Uninstall:
    """What is asked for; `purged` are the paths whose removal was agreed to.

    `force`: a hook that fails is no reason to keep the container.
    """

    purged: Collection[str] = ()
    force: bool = False
    dry_run: bool = False


def uninstall(name: ContainerName, request: Uninstall, host: Host, report: Report) -> Plan:
    """Remove a container; its image stays, and so does its state but for what is purged.

    It can be tried again until all is gone. Returns what was, or with `dry_run` would be, done.
    Raises NotFound, or AtomicSysError.
    """
    with doing(f"uninstalling {name}"), claimed(host, name, report) as transaction:
        if transaction.recovered and find(host.root, host.paths, name) is None:
            return ()  # that was the rest of an uninstallation
        found = require(host.root, host.paths, name)
        if found.preinstalled:
            raise AtomicSysError(
                f"{name} came with a package of the distribution", hint="remove that package"
            )
        for deployment in all_deployments(host.root, host.paths, found):
            refuse_used(deployment.deployment, host)
        running = dependents.running(name.unit, host.manager)
        if others := running[1:]:
            log.note(f"{', '.join(others)}: stopped too, since it requires {name.unit}")
        agreed = _agreed(found, request, host)
        state = observe(host.root, host.paths, name)
        plan = plan_uninstall(found, state, host.paths, agreed, running)
        hook = plan_hook(found, Hook.UNINSTALL, host)
        if not request.dry_run:
            try:
                run_hook(hook, transaction)
            except (HookFailed, NoSpace) as error:
                if not request.force:
                    error.hint = f"atomic uninstall --force {name} uninstalls it all the same"
                    raise
                log.warn(str(error))
            finish(plan, transaction.tools, transaction.journal, "uninstall")
    return (*hook, *plan)


def _agreed(found: Installed, request: Uninstall, host: Host) -> tuple[RemoveState, ...]:
    """The removal of what was agreed to, as far as nothing forbids it now."""
    states = state_of(found, host) if request.purged else ()
    return tuple(
        state.removal() for state in states if state.kept is None and state.path in request.purged
    )


def state_of(
    container: Installed, host: Host, gone: Collection[ContainerName] = ()
) -> tuple[StatePath, ...]:
    """What the container's image declares as its state, and why which of it has to stay.

    `gone` are other containers that are removed before it. Raises OSError.
    """
    others = [
        one
        for one in installed(host.root, host.paths)
        if one.name != container.name and one.name not in gone
    ]
    return purge.declared_state(container, others, host.root, host.paths)


def find_all(names: Sequence[str], host: Host) -> tuple[Installed, ...]:
    """The containers of these names, each once: all of them are found before any is touched.

    Raises NotFound for one that is not there.
    """
    parsed = [ContainerName.parse(name) for name in dict.fromkeys(names)]
    return tuple(require(host.root, host.paths, name) for name in parsed)


def every_container(host: Host) -> tuple[Installed, ...]:
    """All containers that can be removed."""
    return tuple(c for c in installed(host.root, host.paths) if not c.preinstalled)
