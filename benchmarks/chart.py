# SPDX-License-Identifier: LGPL-2.1-or-later
"""A bar chart as SVG: the time of each program to pull an image and lay its files out."""

from html import escape
from pathlib import Path

from benchmarks.contenders import ALL, OURS
from benchmarks.measure import median
from benchmarks.report import Results

_COLOURS = ("#1f6f8b", "#b0b7bd", "#8d969e", "#cfd4d8")
_LEFT, _WIDTH, _BAR, _GAP, _RIGHT = 90, 520, 13, 14, 70


def write_chart(results: Results, names: list[str], path: Path) -> None:
    """A group of bars for each image, each group on a scale of its own, seconds at the bars."""
    y = 46
    parts = [_text(_LEFT, 18, "Pull and check out: seconds until synced, shorter is better")]
    x = _LEFT
    for contender, colour in zip(ALL, _COLOURS, strict=True):
        parts.append(f'<rect x="{x}" y="27" width="10" height="10" fill="{colour}"/>')
        parts.append(_text(x + 14, 36, contender.name))
        x += 130
    for name in names:
        if (name, "pull", OURS.name) not in results:
            continue
        found = {
            contender.name: median([s.wall for s in results[name, "pull", contender.name]])
            for contender in ALL
            if (name, "pull", contender.name) in results
        }
        longest = max(found.values())
        parts.append(_text(8, y + _BAR * 2, name))
        for contender, colour in zip(ALL, _COLOURS, strict=True):
            if contender.name in found:
                seconds = found[contender.name]
                width = max(1, round(_WIDTH * seconds / longest))
                parts.append(
                    f'<rect x="{_LEFT}" y="{y}" width="{width}" height="{_BAR - 2}" '
                    f'fill="{colour}"/>'
                )
                weight = ' font-weight="bold"' if contender is OURS else ""
                parts.append(_text(_LEFT + width + 5, y + _BAR - 3, f"{seconds:.2f}", weight))
                y += _BAR
        y += _GAP
    size = f'width="{_LEFT + _WIDTH + _RIGHT}" height="{y}"'
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif" font-size="11">'
    )
    background = '<rect width="100%" height="100%" fill="white"/>'
    path.write_text("\n".join([head, background, *parts, "</svg>", ""]))


def _text(x: int, y: int, text: str, more: str = "") -> str:
    return f'<text x="{x}" y="{y}"{more}>{escape(text)}</text>'
