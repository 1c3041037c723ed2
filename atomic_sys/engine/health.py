# SPDX-License-Identifier: LGPL-2.1-or-later
"""Whether a container that was started has come to stay: it stays active, and it is healthy.

Readiness needs no probe here: a unit of Type=notify, or with a probe of ours in ExecStartPost=, is
active only when it is ready, and the start has waited for that.
"""

import time

from atomic_sys.engine import inside
from atomic_sys.engine.declared import Confirm
from atomic_sys.errors import AtomicSysError
from atomic_sys.model.health import Health
from atomic_sys.systemd.manager import Manager

_POLL = 0.25  # seconds between two looks at the unit
_PAUSE = 2.0  # seconds between two health checks, where the image asks for a longer interval


class Unhealthy(AtomicSysError):
    """A probe failed; `probe` is `settle` or `health`."""

    def __init__(self, message: str, *, probe: str) -> None:
        super().__init__(message)
        self.probe = probe


def confirm(check: Confirm, manager: Manager) -> None:
    """Return when it has proved itself. Raises Unhealthy, SystemdError."""
    if not manager.online or manager.properties(check.unit, ["Type"]).get("Type") == "oneshot":
        return
    _settle(check, manager)
    if check.health is not None:
        _healthy(check, check.health, manager)


def _settle(check: Confirm, manager: Manager) -> None:
    before = manager.details(check.unit).restarts
    begun = time.monotonic()
    while True:
        _expect_running(check, manager, before)
        left = begun + check.settle - time.monotonic()
        if left <= 0:
            return
        time.sleep(min(_POLL, left))


def _expect_running(check: Confirm, manager: Manager, restarts: int) -> None:
    state, details = manager.states([check.unit])[check.unit], manager.details(check.unit)
    if details.restarts != restarts:
        raise Unhealthy(
            f"probe settle: {check.unit} was restarted within {check.settle:g} seconds",
            probe="settle",
        )
    if not state.is_active:
        raise Unhealthy(
            f"probe settle: {check.unit} did not stay active for {check.settle:g} seconds:"
            f" {state.active} ({details.result or state.sub})",
            probe="settle",
        )


def _healthy(check: Confirm, health: Health, manager: Manager) -> None:
    """Try until it succeeds, or until what the image grants is over: at least once.

    An image that takes `retries` failures at `interval` for unhealthy has this time to become
    healthy, after its start period.
    """
    deadline = time.monotonic() + health.start_period + health.retries * health.interval
    restarts = manager.details(check.unit).restarts
    while True:
        reason = _try(check, health)
        if reason is None:
            return
        _expect_running(check, manager, restarts)
        if time.monotonic() >= deadline:
            raise Unhealthy(f"probe health: {reason}", probe="health")
        time.sleep(min(health.interval, _PAUSE))


def _try(check: Confirm, health: Health) -> str | None:
    """Run the command in the container once; why it failed."""
    try:
        inside.execute(check.runtime, check.container, health.command, health.timeout)
    except inside.Failed as error:
        return f"{' '.join(health.command)}: {error}"
    return None
