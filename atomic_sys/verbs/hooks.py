# SPDX-License-Identifier: LGPL-2.1-or-later
"""The hooks of a container: commands of its image, run in it while it still runs as it is."""

from atomic_sys import log
from atomic_sys.engine.apply import attempt
from atomic_sys.engine.declared import RunHook
from atomic_sys.engine.observe import Installed
from atomic_sys.host import Host
from atomic_sys.model.hooks import Hook
from atomic_sys.verbs.support import Transaction


def plan_hook(container: Installed, hook: Hook, host: Host) -> tuple[RunHook, ...]:
    """The hook of the current deployment's image; none where it has none, or does not run."""
    record, name = container.record, container.name
    if record is None or hook not in record.hooks or not record.has_service:
        return ()
    if not host.manager.online or not host.manager.states([name.unit])[name.unit].is_active:
        log.note(f"{name} does not run: its {hook.value} hook is left out")
        return ()
    return (
        RunHook(
            hook=hook,
            container=name.value,
            runtime=record.runtime or host.paths.runtime,
            command=record.hooks[hook],
            limit=host.configuration.hook_timeout,
        ),
    )


def run_hook(hook: tuple[RunHook, ...], transaction: Transaction) -> None:
    """Run it, before anything is changed. Raises HookFailed."""
    attempt(hook, transaction.tools)
