# SPDX-License-Identifier: LGPL-2.1-or-later
"""The chart of start times is drawn to scale."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.host.chart import Start, bar_of, chart


def test_bars_share_one_axis_in_the_order_of_being_active() -> None:
    drawn = chart(
        [
            Start(unit="docker.service", begun=7_000_000, active=9_000_000),
            Start(unit="etcd.service", begun=5_000_000, active=6_000_000),
            Start(unit="flannel.service", begun=6_000_000, active=7_000_000),
        ],
        width=8,
    )
    assert drawn.splitlines() == [
        "etcd.service     ##......  0.0 -> 1000.0 ms",
        "flannel.service  ..##....  1000.0 -> 2000.0 ms",
        "docker.service   ....####  2000.0 -> 4000.0 ms",
    ]


def test_nothing_started_draws_nothing() -> None:
    assert chart([]) == ""


@pytest.mark.parametrize(
    ("begun", "active", "span", "bar"),
    [
        (0, 0, 0, "#..."),  # a start that took no time, alone
        (100, 100, 100, "...#"),  # the last instant is still inside
        (0, 1, 1000, "#..."),  # shorter than a column
        (0, 100, 100, "####"),
    ],
)
def test_edges(begun: int, active: int, span: int, bar: str) -> None:
    assert bar_of(begun, active, span, 4) == bar


def test_active_before_begun_is_refused() -> None:
    with pytest.raises(ValueError, match="x is active before it begins"):
        Start(unit="x", begun=2, active=1)


@given(st.integers(0, 10**9), st.integers(0, 10**9), st.integers(0, 10**9), st.integers(1, 200))
def test_every_bar_fills_the_width_and_has_a_mark(a: int, b: int, c: int, width: int) -> None:
    begun, active, span = sorted((a, b, c))
    bar = bar_of(begun, active, span, width)
    assert len(bar) == width
    assert bar.strip(".").strip("#") == "" and "#" in bar
