# SPDX-License-Identifier: LGPL-2.1-or-later
"""Draws when units started, as text: one line a unit, on one time axis.

Promised: pure; the order of the lines is the order of `active`; equal input, equal text.
"""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """One unit's start: microseconds on one clock, when it began and when it was up."""

    unit: str
    begun: int
    active: int

    def __post_init__(self) -> None:
        if self.active < self.begun:
            raise ValueError(f"{self.unit} is active before it begins")


def chart(starts: Sequence[Start], *, width: int = 40) -> str:
    """The chart of `starts`, with a bar area of `width` columns; times are ms after the first.

    >>> print(chart([Start(unit="a", begun=0, active=500), Start(unit="bc", begun=500,
    ...                                                          active=1000)], width=8))
    a   ####....  0.0 -> 0.5 ms
    bc  ....####  0.5 -> 1.0 ms
    """
    if not starts:
        return ""
    zero = min(start.begun for start in starts)
    span = max(start.active for start in starts) - zero
    name_width = max(len(start.unit) for start in starts)
    lines = []
    for start in sorted(starts, key=lambda start: (start.active, start.begun, start.unit)):
        bar = bar_of(start.begun - zero, start.active - zero, span, width)
        times = f"{(start.begun - zero) / 1000:.1f} -> {(start.active - zero) / 1000:.1f} ms"
        lines.append(f"{start.unit:<{name_width}}  {bar}  {times}")
    return "\n".join(lines)


def bar_of(begun: int, active: int, span: int, width: int) -> str:
    """`width` columns that stand for 0 to `span`, filled from `begun` to `active`.

    Even the shortest start gets a column: a unit without a mark would look as if it had not run.
    """
    first = min(width - 1, begun * width // span) if span else 0
    end = max(first + 1, round(active * width / span)) if span else 1
    return "." * first + "#" * (end - first) + "." * (width - end)
