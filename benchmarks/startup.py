# SPDX-License-Identifier: LGPL-2.1-or-later
"""How long `atomic --version` takes, as a ratio to a Python that imports argparse and json.

All commands run in turn, as whole processes; the medians and the ratio are printed, and what a pull
with nothing new to fetch loads: `requests`, and our own modules without that. Run it with
`python -m benchmarks.startup [RUNS]`.
"""

import statistics
import subprocess
import sys
import time
from pathlib import Path

RUNS = 40
BAR = 2.0  # times the base command, at most
PULL = (
    "atomic_sys.cli.pull",
    "atomic_sys.verbs.pull",
    "atomic_sys.engine.sources",
    "atomic_sys.image.registry",
    "atomic_sys.store.store",
    "atomic_sys.trust.gpg",
)


def seconds(argv: list[str]) -> float:
    """The wall time of one run, in seconds."""
    begin = time.perf_counter()
    subprocess.run(argv, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - begin


def main() -> None:
    """Measure and print."""
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else RUNS
    python = sys.executable
    ours = [str(Path(python).with_name("atomic")), "--version"]
    commands = {
        "atomic --version": ours,
        **{
            f"python3 -c {code!r}": [python, "-c", code]
            for code in ("import argparse, json", "pass", "import requests")
        },
        "what a pull loads of ours": [python, "-c", f"import {', '.join(PULL)}"],
    }
    for argv in commands.values():  # fill the caches
        seconds(argv)
    rounds = [[seconds(argv) for argv in commands.values()] for _ in range(runs)]
    for name, column in zip(commands, zip(*rounds, strict=True), strict=True):
        print(f"{name:36}{statistics.median(column) * 1000:6.1f} ms")
    ratio = statistics.median(one[0] / one[1] for one in rounds)
    print(f"{'ratio of the first two, pair by pair':36}{ratio:6.2f}   (bar: at most {BAR:g})")


if __name__ == "__main__":
    main()
