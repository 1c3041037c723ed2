# SPDX-License-Identifier: LGPL-2.1-or-later
"""How long `atomic --version` takes, as a ratio to a Python that imports argparse and json.

All commands run in turn, as whole processes; the medians and the ratio are printed, and what a pull
with nothing new to fetch loads: `requests`, and our own modules without that; and what it costs to
make one of our classes, and would cost as a dataclass. Run it with
`python -m benchmarks.startup [RUNS]`.
"""

import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from atomic_sys.frozen import frozen

RUNS = 40
_CLASSES = 200
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


def making(decorator: Callable[[type[Any]], type[Any]]) -> float:
    """The processor time that it takes to make a class of five fields, in seconds."""
    fields = {"name": str, "size": int, "digest": str, "path": str, "known": bool}
    classes = [
        type("Noun", (), {"__doc__": "One.", "__annotations__": dict(fields), "known": False})
        for _ in range(_CLASSES)
    ]
    begin = time.process_time()
    for cls in classes:
        decorator(cls)
    return (time.process_time() - begin) / _CLASSES


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
    print(f"{'making a class by @frozen':36}{making(frozen) * 1000:6.2f} ms")
    as_dataclass = making(dataclass(frozen=True, slots=True, kw_only=True))
    print(f"{'making it by dataclass()':36}{as_dataclass * 1000:6.2f} ms")


if __name__ == "__main__":
    main()
