# SPDX-License-Identifier: LGPL-2.1-or-later
"""What was measured as a table, with the ratios that the project holds itself to."""

from collections.abc import Mapping
from typing import TypeAlias

from benchmarks.contenders import OSTREE, OURS, PODMAN, UMOCI
from benchmarks.measure import Sample, median

# (image, what was done, who did it), a sample for each round
Results: TypeAlias = dict[tuple[str, str, str], list[Sample]]

CP = "cp -al"
IN_PROCESS = "checkout, in the process"  # less Python's start and the reading of the tree
BARS = {  # our time may be this many times that of the other
    ("pull", PODMAN.name): 0.40,
    ("pull", OSTREE.name): 0.40,
    ("unchanged", PODMAN.name): 2.0,
    ("update", OSTREE.name): 0.5,
    ("checkout", CP): 0.7,
    (IN_PROCESS, CP): 0.7,
}
NO_BAR = {"small"}  # nothing but start-up
MEMORY_BAR = 120  # MiB
_PEERS = {
    "pull": (PODMAN.name, OSTREE.name, UMOCI.name),
    "unchanged": (PODMAN.name,),
    "update": (PODMAN.name, OSTREE.name),
    "checkout": (CP,),
    IN_PROCESS: (CP,),
}


def report(results: Results, described: Mapping[str, str], memory: Mapping[str, int]) -> str:
    """A Markdown text: a line about each image, then a row for each comparison."""
    lines = [f"- {name}: {text}" for name, text in described.items()]
    lines += [
        "",
        "| image | what | ours s (cpu s) | other | its s (cpu s) | ratio | bar |",
        "|---|---|---|---|---|---|---|",
    ]
    for name in described:
        for what, peers in _PEERS.items():
            lines += [
                _row(results, name, what, peer) for peer in peers if (name, what, peer) in results
            ]
    lines += ["", "| image | peak memory MiB | bar |", "|---|---|---|"]
    lines += [f"| {name} | {peak / 2**20:.0f} | {MEMORY_BAR} |" for name, peak in memory.items()]
    return "\n".join(lines)


def _row(results: Results, name: str, what: str, peer: str) -> str:
    ours, other = results[name, what, OURS.name], results[name, what, peer]
    bar = None if name in NO_BAR and what == "pull" else BARS.get((what, peer))
    found = ratio(ours, other)
    verdict = "" if bar is None else f"{bar:.2f}" if found <= bar else f"{bar:.2f}, missed"
    return (
        f"| {name} | {what} | {_times(ours)} | {peer} | {_times(other)} | {found:.2f} | {verdict} |"
    )


def ratio(ours: list[Sample], other: list[Sample]) -> float:
    """The median of the ratios of each round, so that what slows a whole round cancels out.

    The last round may be incomplete, of an interrupted run.
    """
    return median([a.wall / b.wall for a, b in zip(ours, other, strict=False)])


def _times(samples: list[Sample]) -> str:
    wall, cpu = median([s.wall for s in samples]), median([s.cpu for s in samples])
    return f"{wall:.3f} ({cpu:.2f})"
