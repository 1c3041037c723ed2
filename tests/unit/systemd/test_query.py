# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a manager answers on a real bus is read as the Manager has it; what is wrong is an error."""

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from atomic_sys.systemd import query
from atomic_sys.systemd.manager import SystemdError, UnitState

BUS = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-BUS Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <listen>unix:path={}</listen>
  <policy context="default">
    <allow own="*"/><allow send_destination="*"/><allow receive_sender="*"/>
  </policy>
</busconfig>
"""
# Answers what stands behind its first two arguments, as an expression of Python's.
MANAGER = """
import sys
import pydbus
from gi.repository import GLib

address, types, answer = sys.argv[1:]
method = '<method name="{}">{}<arg type="{}" direction="out"/></method>'
words = '<arg type="as" direction="in"/>'
class Manager:
    dbus = (
        '<node><interface name="org.freedesktop.systemd1.Manager">'
        + method.format("ListUnitsByNames", words, types)
        + method.format("ListUnitFilesByPatterns", 2 * words, types)
        + "</interface></node>"
    )
    def ListUnitsByNames(self, names):
        return eval(answer)
    def ListUnitFilesByPatterns(self, states, patterns):
        return eval(answer)
bus = pydbus.connect(address)
bus.publish("org.freedesktop.systemd1", ("/org/freedesktop/systemd1", Manager()))
print("ready", flush=True)
GLib.MainLoop().run()
"""
UNITS = """[
    (name, "é", *(("not-found", "inactive", "dead") if "none" in name else
     ("loaded", "active", "running")), "", "/" + name[0], 7, "", "/")
    for name in names
]"""
Answer = Callable[[str, str], None]


def started(argv: list[str], closing: list[subprocess.Popen[str]]) -> str:
    """Starts it, for the length of a test; the first line that it says."""
    child = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)
    closing.append(child)
    assert child.stdout is not None
    return child.stdout.readline().strip()


@pytest.fixture
def answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Answer]:
    """A bus of its own: the manager on it answers with these types and this expression."""
    (tmp_path / "bus.conf").write_text(BUS.format(tmp_path / "bus"))
    running: list[subprocess.Popen[str]] = []
    daemon = ["dbus-daemon", f"--config-file={tmp_path}/bus.conf", "--nofork", "--print-address"]
    address = started(daemon, running)
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", address)

    def prepare(types: str, expression: str) -> None:
        argv = ["/usr/bin/python3", "-c", MANAGER, address, types, expression]
        assert started(argv, running) == "ready"

    yield prepare
    for child in reversed(running):
        child.kill()
        child.communicate()


@pytest.mark.conformance
def test_states_of_many_units_are_asked_once(answer: Answer) -> None:
    answer("a(ssssssouso)", UNITS)
    names = [f"c{number:04}.service" for number in range(2000)]
    found = query.states([*names, "none.service"])
    assert found["none.service"] == UnitState(load="not-found", active="inactive", sub="dead")
    running = UnitState(load="loaded", active="active", sub="running")
    assert found == {name: running for name in names} | {"none.service": found["none.service"]}


@pytest.mark.conformance
def test_no_units_are_no_rows(answer: Answer) -> None:
    answer("a(ssssssouso)", UNITS)
    assert query.states([]) == {}


@pytest.mark.conformance
def test_file_states_are_those_of_the_units_that_have_a_file(answer: Answer) -> None:
    answer("a(ss)", '[("/etc/" + name, "enabled") for name in patterns[1:]] if not states else []')
    assert query.file_states(["a.service", "b.service"]) == {"b.service": "enabled"}


@pytest.mark.conformance
@pytest.mark.parametrize(
    ("types", "expression", "why"),
    [
        ("a(ssssssouso)", "1 / 0", "division by zero"),
        ("s", "'x'", "No such device or address"),
        ("a(ss)", "[('a', 'b')]", "No such device or address"),
    ],
)
def test_an_answer_that_makes_no_sense_is_an_error(
    types: str, expression: str, why: str, answer: Answer
) -> None:
    answer(types, expression)
    with pytest.raises(SystemdError, match=f"^asking systemd about units: .*{why}"):
        query.states(["a.service"])


@pytest.mark.conformance
def test_nobody_answers(answer: Answer) -> None:
    del answer
    with pytest.raises(SystemdError, match="asking systemd about units: ") as caught:
        query.states(["a.service"])
    assert caught.value.name == "org.freedesktop.DBus.Error.ServiceUnknown"


def test_no_bus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", f"unix:path={tmp_path}/none")
    with pytest.raises(SystemdError, match="connecting to systemd: No such file or directory"):
        query.states(["a.service"])


def test_no_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(query, "_LIBRARY", "libnone.so.0")
    with pytest.raises(SystemdError, match=r"libnone\.so\.0: cannot open shared object file"):
        query.states(["a.service"])
