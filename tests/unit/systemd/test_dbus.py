# SPDX-License-Identifier: LGPL-2.1-or-later
"""The D-Bus manager against a bus that sends its signals when it likes."""

from collections.abc import Callable
from typing import Any

import pytest

from atomic_sys.systemd.dbus import Connection, DbusManager
from atomic_sys.systemd.manager import (
    Change,
    Manager,
    StartFailed,
    StopFailed,
    SystemdError,
    UnitState,
)

gi_repository = pytest.importorskip("gi.repository")
Signal = tuple[int, str, str, str]
JOB = "/org/freedesktop/systemd1/job/7"
OTHER = "/org/freedesktop/systemd1/job/8"
ACTIVE = {"ActiveState": "active", "Type": "simple", "Result": "success", "ConditionResult": True}

SKIPPED = {"ActiveState": "inactive", "ConditionResult": False, "ConditionTimestamp": 1}


class Subscription:
    def __init__(self, bus: "FakeBus") -> None:
        self._bus = bus

    def disconnect(self) -> None:
        self._bus.callback = None


class FakeBus:
    """systemd's manager and its event loop: `early` signals come before the reply to the call."""

    def __init__(self, early: list[Signal] | None = None, late: list[Signal] | None = None) -> None:
        self.early, self.late = early or [], late or []
        self.callback: Callable[..., None] | None = None
        self.calls: list[tuple[Any, ...]] = []
        self.error: Exception | None = None
        self.unit: dict[str, Any] = dict(ACTIVE)
        self.replies: dict[str, Any] = {}
        self.JobRemoved = self

    def connect(self, callback: Callable[..., None]) -> Subscription:
        self.callback = callback
        return Subscription(self)

    def emit(self, signals: list[Signal]) -> None:
        while signals:
            assert self.callback is not None, "nobody listens"
            self.callback(*signals.pop(0))

    def wait(self, enough: Callable[[], bool], _timeout: float) -> bool:
        while not enough() and self.late:
            self.emit([self.late.pop(0)])
        return enough()

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def call(*arguments: Any, timeout: float) -> Any:
            assert timeout > 0
            self.calls.append((name, *arguments))
            if self.error is not None:
                raise self.error
            if name in ("StartUnit", "StopUnit", "RestartUnit"):
                self.emit(self.early)
                return JOB
            if name == "GetAll":
                return self.unit
            return self.replies.get(name, "/path")

        return call

    def manager(self) -> DbusManager:
        return DbusManager(Connection(manager=self, properties=lambda _path: self, wait=self.wait))


def ended(result: str = "done", job: str = JOB) -> Signal:
    return (7, job, "etcd.service", result)


def dbus_error(name: str) -> Exception:
    error: Exception = gi_repository.Gio.DBusError.new_for_dbus_error(name, "no")
    return error


def test_it_is_a_manager() -> None:
    manager: Manager = FakeBus().manager()
    assert manager.online


@pytest.mark.parametrize(
    ("early", "late"),
    [
        ([ended()], []),
        ([], [ended()]),
        ([ended("failed", OTHER)], [ended("failed", OTHER), ended()]),
    ],
    ids=["before the reply", "after it", "among others"],
)
def test_the_end_of_a_job_is_seen_whenever_it_comes(
    early: list[Signal], late: list[Signal]
) -> None:
    bus = FakeBus(early, late)
    bus.manager().start("etcd.service", 5)
    assert bus.calls[0] == ("StartUnit", "etcd.service", "replace")
    assert bus.callback is None, "the subscription is over"


@pytest.mark.parametrize(
    ("result", "words"),
    [
        ("failed", "its job failed"),
        ("timeout", "its job timed out"),
        ("canceled", "its job was cancelled"),
        ("dependency", "a unit that it requires failed"),
        ("skipped", "did not apply"),
        ("invented", "ended with 'invented'"),
    ],
)
def test_a_job_that_ends_badly(result: str, words: str) -> None:
    bus = FakeBus([ended(result)])
    with pytest.raises(StartFailed, match=words) as caught:
        bus.manager().restart("etcd.service", 5)
    assert (caught.value.unit, caught.value.result) == ("etcd.service", result)
    assert bus.calls[0][0] == "RestartUnit"
    assert bus.callback is None


def test_a_job_that_never_ends() -> None:
    bus = FakeBus([ended(job=OTHER)])
    with pytest.raises(StartFailed, match="within 5 seconds") as caught:
        bus.manager().start("etcd.service", 5)
    assert caught.value.result == "timeout"


@pytest.mark.parametrize(
    ("unit", "result"),
    [
        ({"ActiveState": "failed", "Result": "exit-code"}, "exit-code"),
        ({"ActiveState": "activating", "Result": "signal"}, "signal"),
        ({"ActiveState": "inactive", "Result": "success"}, "success"),
        (SKIPPED, "condition"),
        ({**SKIPPED, "Type": "oneshot"}, "condition"),
        ({"ActiveState": "failed", "Type": "oneshot", "Result": "exit-code"}, "exit-code"),
    ],
)
def test_a_unit_that_is_not_active_after_its_job(unit: dict[str, Any], result: str) -> None:
    bus = FakeBus([ended()])
    bus.unit |= unit
    with pytest.raises(StartFailed) as caught:
        bus.manager().start("etcd.service", 5)
    assert caught.value.result == result


@pytest.mark.parametrize(
    "unit",
    [
        {"ActiveState": "reloading"},
        {"ActiveState": "inactive", "Type": "oneshot"},
        {"ActiveState": "inactive", "Type": "oneshot", "ConditionResult": False},
    ],
)
def test_a_unit_that_need_not_be_active(unit: dict[str, Any]) -> None:
    bus = FakeBus([ended()])
    bus.unit |= unit
    bus.manager().start("etcd.service", 5)


def test_stopping() -> None:
    bus = FakeBus([ended()])
    bus.manager().stop("etcd.service", 5)
    assert bus.calls == [("StopUnit", "etcd.service", "replace")]
    with pytest.raises(StopFailed):
        FakeBus([ended("timeout")]).manager().stop("etcd.service", 5)


NO_SUCH_UNIT = "org.freedesktop.systemd1.NoSuchUnit"


def test_an_error_keeps_its_name() -> None:
    bus = FakeBus()
    bus.error = dbus_error("org.freedesktop.DBus.Error.AccessDenied")
    manager = bus.manager()
    for call in (
        manager.reload,
        lambda: manager.enable(["a.service"]),
        lambda: manager.disable(["a.service"]),
        lambda: manager.start("a.service"),
        lambda: manager.stop("a.service"),
        lambda: manager.reset_failed("a.service"),
        lambda: manager.states(["a.service"]),
        lambda: manager.unit_file_state("a.service"),
        lambda: manager.properties("a.service", ["Id"]),
    ):
        with pytest.raises(SystemdError) as caught:
            call()
        assert caught.value.name == "org.freedesktop.DBus.Error.AccessDenied"
        assert str(caught.value).endswith(": no")
    assert bus.callback is None


def test_a_unit_that_does_not_exist_needs_no_end() -> None:
    bus = FakeBus()
    bus.error = dbus_error(NO_SUCH_UNIT)
    manager = bus.manager()
    manager.stop("a.service")
    manager.reset_failed("a.service")
    assert manager.disable(["a.service"]) == ()
    assert manager.unit_file_state("a.service") is None
    with pytest.raises(SystemdError) as caught:
        manager.start("a.service")
    assert caught.value.name == NO_SUCH_UNIT


def test_enabling_and_disabling(capsys: pytest.CaptureFixture[str]) -> None:
    bus = FakeBus()
    change = ("symlink", "/etc/systemd/system/multi-user.target.wants/a.service", "/a.service")
    bus.replies = {"EnableUnitFiles": (False, [change]), "DisableUnitFiles": [change]}
    assert bus.manager().enable(["a.service"]) == (Change(*change),)
    assert "no [Install] section" in capsys.readouterr().err
    assert bus.manager().disable(["a.service"]) == (Change(*change),)
    assert bus.calls[0] == ("EnableUnitFiles", ["a.service"], False, False)
    assert bus.calls[1] == ("DisableUnitFiles", ["a.service"], False)


def test_states_take_one_round_trip() -> None:
    bus = FakeBus()
    row = ("", "", "/path", 0, "", "/")
    bus.replies["ListUnitsByNames"] = [
        ("a.service", "A", "loaded", "active", "running", *row),
        ("b.service", "b.service", "not-found", "inactive", "dead", *row),
    ]
    states = bus.manager().states(["a.service", "b.service"])
    assert states == {
        "a.service": UnitState(load="loaded", active="active", sub="running"),
        "b.service": UnitState(load="not-found", active="inactive", sub="dead"),
    }
    assert [name for name, state in states.items() if state.is_active] == ["a.service"]
    assert len(bus.calls) == 1


def test_details() -> None:
    bus = FakeBus()
    bus.unit = {
        "StateChangeTimestamp": 5,
        "MainPID": 6,
        "InvocationID": [0xAB, 0x01],
        "Result": "success",
        "NeedDaemonReload": True,
    }
    details = bus.manager().details("a.service")
    assert (details.since_realtime_us, details.main_pid) == (5, 6)
    assert (details.invocation_id, details.result) == ("ab01", "success")
    assert (details.needs_reload, details.restarts, details.control_group) == (True, 0, "")
    assert bus.manager().properties("a.service", ["MainPID", "None"]) == {"MainPID": 6}
