# SPDX-License-Identifier: LGPL-2.1-or-later
"""What busctl answers is read as the Manager has it, and whatever is wrong is an error."""

import json
from collections.abc import Callable

import pytest

from atomic_sys.fs.process import Command, CommandFailed, Completed
from atomic_sys.systemd import query
from atomic_sys.systemd.manager import SystemdError, UnitState

ROWS = [
    ["a.service", "An a", "loaded", "active", "running", "", "/a", 0, "", "/"],
    ["none.service", "none.service", "not-found", "inactive", "dead", "", "/n", 0, "", "/"],
]
Answer = Callable[[str], list[tuple[str, ...]]]


@pytest.fixture
def answer(monkeypatch: pytest.MonkeyPatch) -> Answer:
    """Lets busctl print a text; returns the list of the calls to come."""

    def prepare(text: str) -> list[tuple[str, ...]]:
        calls: list[tuple[str, ...]] = []

        def run(command: Command) -> Completed:
            calls.append(tuple(command.argv))
            return Completed(
                argv=tuple(command.argv), returncode=0, stdout=text.encode(), stderr=b""
            )

        monkeypatch.setattr(Command, "run", run)
        return calls

    return prepare


def test_states_of_many_units_are_asked_once(answer: Answer) -> None:
    calls = answer(json.dumps({"type": "a(ssssssouso)", "data": [ROWS]}))
    assert query.states(["a.service", "none.service"]) == {
        "a.service": UnitState(load="loaded", active="active", sub="running"),
        "none.service": UnitState(load="not-found", active="inactive", sub="dead"),
    }
    (call,) = calls
    assert call[-5:] == ("ListUnitsByNames", "as", "2", "a.service", "none.service")


def test_file_states_are_those_of_the_units_that_have_a_file(answer: Answer) -> None:
    rows = [["/etc/systemd/system/a.service", "enabled"], ["/usr/lib/x/b.service", "disabled"]]
    calls = answer(json.dumps({"type": "a(ss)", "data": [rows]}))
    found = query.file_states(["a.service", "b.service", "c.service"])
    assert found == {"a.service": "enabled", "b.service": "disabled"}
    assert calls[0][-6:] == ("asas", "0", "3", "a.service", "b.service", "c.service")


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "{}", '{"data": []}', '{"data": [1]}', '{"data": [[["a", "b"]]]}']
)
def test_an_answer_that_makes_no_sense_is_an_error(text: str, answer: Answer) -> None:
    answer(text)
    with pytest.raises(SystemdError, match="asking systemd about units"):
        query.states(["a.service"])


def test_busctl_that_fails_is_quoted(monkeypatch: pytest.MonkeyPatch) -> None:
    def run(command: Command) -> Completed:
        raise CommandFailed("busctl is not installed")

    monkeypatch.setattr(Command, "run", run)
    with pytest.raises(SystemdError, match="busctl is not installed"):
        query.states(["a.service"])
