# SPDX-License-Identifier: LGPL-2.1-or-later
"""How long `atomic --version` takes, as a ratio to a Python that imports argparse and json.

Both commands run in turn, as whole processes; the medians and their ratio are printed. Run it with
`python -m benchmarks.startup [RUNS]`.
"""

import statistics
import subprocess
import sys
import time
from pathlib import Path

RUNS = 40
BAR = 2.0  # times the base command, at most


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
    base = [python, "-c", "import argparse, json"]
    for argv in (ours, base):  # fill the caches
        seconds(argv)
    pairs = [(seconds(ours), seconds(base)) for _ in range(runs)]
    ours_median, base_median = (statistics.median(column) for column in zip(*pairs, strict=True))
    ratio = statistics.median(a / b for a, b in pairs)
    print(f"atomic --version              {ours_median * 1000:6.1f} ms")
    print(f"python3 -c 'import argparse, json' {base_median * 1000:6.1f} ms")
    print(f"ratio, pair by pair           {ratio:6.2f}   (bar: at most {BAR:g})")


if __name__ == "__main__":
    main()
