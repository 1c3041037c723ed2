# SPDX-License-Identifier: LGPL-2.1-or-later
"""Health checks and data versions, from images and records, and the state of a container."""

import pytest

from atomic_sys.model.container_state import ContainerState
from atomic_sys.model.health import DataVersion, Health, can_read, of_image
from atomic_sys.model.strict_json import InvalidJson, Json

S = 1_000_000_000


@pytest.mark.parametrize(
    ("document", "command"),
    [
        ({}, None),
        ({"Test": []}, None),
        ({"Test": ["NONE"]}, None),
        ({"Test": ["CMD"]}, None),
        ({"Test": ["WHAT", "a"]}, None),
        ({"Test": ["CMD", "a", "b"]}, ("a", "b")),
        ({"Test": ["CMD-SHELL", "a b"]}, ("/bin/sh", "-c", "a b")),
    ],
)
def test_a_health_check_of_an_image(document: Json, command: tuple[str, ...] | None) -> None:
    found = of_image(document, "it")
    assert (None if found is None else found.command) == command


def test_times_are_nanoseconds_and_have_dockers_defaults() -> None:
    plain = of_image({"Test": ["CMD", "a"], "Interval": 0}, "it")
    assert plain == Health(command=("a",), interval=30, timeout=30, retries=3, start_period=0)
    own = of_image(
        {"Test": ["CMD", "a"], "Interval": S // 2, "Timeout": 2 * S, "StartPeriod": 3 * S,
         "Retries": 7}, "it",
    )  # fmt: skip
    assert own is not None
    assert (own.interval, own.timeout, own.start_period, own.retries) == (0.5, 2, 3, 7)
    assert Health.from_json(own.to_json(), "it") == own


@pytest.mark.parametrize(
    "document",
    [
        {"Test": "a"},
        {"Test": ["CMD", "a"], "Interval": -1},
        {"Test": ["CMD", "a"], "Interval": "1s"},
        {"Test": ["CMD", "a"], "Retries": True},
        [],
    ],
)
def test_what_is_no_health_check(document: Json) -> None:
    with pytest.raises(InvalidJson):
        of_image(document, "it")


@pytest.mark.parametrize("value", [-1, True, "1", None, 1e10])
def test_what_is_no_time(value: Json) -> None:
    body: Json = {
        "command": ["a"],
        "interval": value,
        "timeout": 1,
        "retries": 1,
        "start_period": 0,
    }
    with pytest.raises(InvalidJson, match="is no time"):
        Health.from_json(body, "it")


@pytest.mark.parametrize(
    ("reads", "wrote", "answer"),
    [((1, 2), 2, True), ((1, 2), 3, False), ((), 1, False), (None, 1, True), ((1,), None, True)],
)
def test_who_can_read_what(
    reads: tuple[int, ...] | None, wrote: int | None, answer: object
) -> None:  # fmt: skip
    new = None if reads is None else DataVersion(reads=reads, writes=9)
    old = None if wrote is None else DataVersion(reads=(), writes=wrote)
    assert can_read(new, old) is answer
    if new is not None:
        assert DataVersion.from_json(new.to_json(), "it") == new


def test_the_state_of_a_container() -> None:
    state = ContainerState(previous=3, held=True, bad="sha256:1")
    assert ContainerState.from_json(state.to_json(), "it") == state
    assert ContainerState.from_json(b"{}", "it") == ContainerState()
    for broken in (b"[]", b'{"held": 1}', b'{"previous": "1"}', b'{"bad": 1}'):
        with pytest.raises(InvalidJson):
            ContainerState.from_json(broken, "it")
