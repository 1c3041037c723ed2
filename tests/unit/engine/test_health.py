# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a started container has to prove, and what runs with it."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from atomic_sys.engine import health as health_module
from atomic_sys.engine.declared import Confirm
from atomic_sys.engine.dependents import running
from atomic_sys.engine.health import Unhealthy, confirm
from atomic_sys.engine.live import in_use, mounted_roots
from atomic_sys.model.health import Health
from atomic_sys.systemd.manager import UnitDetails, UnitState
from tests.unit.engine.hosts import FakeManager

UNIT = "etcd.service"


@dataclass
class Clock:
    """A clock that only sleeping moves."""

    now: float = 0.0
    slept: list[float] = field(default_factory=list)

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(health_module, "time", clock)
    return clock


class Systemd(FakeManager):
    """Says what the unit is at each look; the last answer stays."""

    def __init__(self, states: Sequence[str] = ("active",), restarts: Sequence[int] = (0,)) -> None:
        super().__init__(Path("/none"))
        self.looks = itertools.chain(states, itertools.repeat(states[-1]))
        self.counts = itertools.chain(restarts, itertools.repeat(restarts[-1]))
        self.type = "exec"

    def states(self, units: Sequence[str]) -> Mapping[str, UnitState]:
        return {u: UnitState(load="loaded", active=next(self.looks), sub="x") for u in units}

    def details(self, unit: str) -> UnitDetails:
        del unit
        return UnitDetails(restarts=next(self.counts), result="exit-code")

    def properties(self, unit: str, names: Sequence[str]) -> Mapping[str, object]:
        del unit, names
        return {"Type": self.type}


def check(runtime: str = "", settle: float = 2, health: Health | None = None) -> Confirm:
    return Confirm(unit=UNIT, container="etcd", runtime=runtime, settle=settle, health=health)


def test_it_is_watched_through_the_settle_period(clock: Clock) -> None:
    confirm(check(), Systemd())
    assert clock.now == 2
    confirm(check(settle=0), Systemd())
    assert clock.now == 2


@pytest.mark.parametrize(
    ("manager", "message"),
    [
        (Systemd(["active", "active", "failed"]), "did not stay active for 2 seconds: failed"),
        (Systemd(["inactive"]), "did not stay active"),
        (Systemd(["active"], [0, 0, 0, 1]), "was restarted within 2 seconds"),
    ],
)
@pytest.mark.usefixtures("clock")
def test_what_does_not_stay_is_said(manager: Systemd, message: str) -> None:
    with pytest.raises(Unhealthy, match=message) as caught:
        confirm(check(), manager)
    assert caught.value.probe == "settle"


def test_a_unit_that_is_to_end_need_not_stay(clock: Clock) -> None:
    manager = Systemd(["inactive"])
    manager.type = "oneshot"
    confirm(check(), manager)
    manager.type, manager.online = "exec", False
    confirm(check(), manager)
    assert clock.now == 0


def runtime(directory: Path, script: str) -> str:
    path = directory / "runtime"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return str(path)


def sick(**changes: object) -> Health:
    plain: dict[str, object] = {
        "command": ("check", "it"), "interval": 10.0, "timeout": 5.0, "retries": 2,
        "start_period": 6.0,
    }  # fmt: skip
    return Health(**(plain | changes))  # type: ignore[arg-type]  # keywords of a test


def test_the_health_check_gets_the_time_that_the_image_grants(clock: Clock, tmp_path: Path) -> None:
    says_no = runtime(tmp_path, f"echo $* >>{tmp_path}/asked; echo it hurts >&2; exit 1")
    with pytest.raises(
        Unhealthy, match=r"probe health: check it: exit status 1: it hurts"
    ) as caught:
        confirm(check(says_no, settle=0, health=sick()), Systemd())
    assert caught.value.probe == "health"
    assert clock.now == 6 + 2 * 10
    first = (tmp_path / "asked").read_text().splitlines()[0].split()
    assert [word for word in first if "/" not in word] == [
        "exec", "--pid-file", "etcd", "check", "it",
    ]  # fmt: skip


def test_the_first_success_is_enough(clock: Clock, tmp_path: Path) -> None:
    count = f"echo x >>{tmp_path}/n; test $(wc -l <{tmp_path}/n) -ge 3"
    confirm(check(runtime(tmp_path, count), settle=0, health=sick(interval=0.5)), Systemd())
    assert clock.slept == [0.5, 0.5]


@pytest.mark.usefixtures("clock")
def test_a_unit_that_ends_meanwhile_ends_the_health_check(tmp_path: Path) -> None:
    manager = Systemd(["active", "failed"])
    with pytest.raises(Unhealthy, match="probe settle"):
        confirm(check(runtime(tmp_path, "exit 1"), settle=0, health=sick()), manager)


class Graph(FakeManager):
    """etcd <- flannel <- docker, and a unit that requires etcd and does not run."""

    def properties(self, unit: str, names: Sequence[str]) -> Mapping[str, object]:
        assert "RequiredBy" in names
        graph: dict[str, Mapping[str, object]] = {
            UNIT: {"RequiredBy": ["flannel.service", "idle.service"]},
            "flannel.service": {"BoundBy": ["docker.service"], "ConsistsOf": [UNIT]},
        }
        return graph.get(unit, {})

    def states(self, units: Sequence[str]) -> Mapping[str, UnitState]:
        return {
            unit: UnitState(
                load="loaded", active="inactive" if unit in self.broken else "active", sub=""
            )
            for unit in units
        }


def test_all_that_runs_and_depends_on_it_is_found() -> None:
    idle = frozenset({"idle.service"})
    assert running(UNIT, Graph(Path("/"), idle)) == (UNIT, "flannel.service", "docker.service")
    assert running(UNIT, Graph(Path("/"), idle | {UNIT})) == ()
    offline = Graph(Path("/"))
    offline.online = False
    assert running(UNIT, offline) == ()


def test_what_is_mounted_is_in_use(tmp_path: Path) -> None:
    (tmp_path / "7/ns").mkdir(parents=True)
    (tmp_path / "7/ns/mnt").touch()
    (tmp_path / "8").mkdir()
    (tmp_path / "self").mkdir()
    (tmp_path / "7/mountinfo").write_text(
        "36 35 98:0 /var/lib/containers/atomic/etcd.0/rootfs / ro - ext4 /dev/root rw\n"
        "37 35 98:0 /srv/a\\040b / ro - ext4 /dev/root rw\n"
    )
    roots = mounted_roots(str(tmp_path))
    assert b"/srv/a b" in roots
    assert in_use("etcd.0", roots)
    assert not in_use("etcd.1", roots)
    assert not in_use("cd.0", roots)
