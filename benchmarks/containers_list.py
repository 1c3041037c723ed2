# SPDX-License-Identifier: LGPL-2.1-or-later
"""How long `atomic containers list` takes for a hundred running containers, as a ratio to
`systemctl list-units` for them.

A host is booted for it. The commands run in turn, as whole processes; the medians and ratios are
printed, and the processor's time. So is what a Python takes that imports no more than the modules
of its library which the command needs: no program with these can take less. The last table has
the parts of the command's processor time, each a difference between two of the commands. Run it as
root on Debian, with `python -m benchmarks.containers_list [RUNS]`.
"""

import json
import sys
import tempfile
from pathlib import Path

from tests.host.host import Host
from tests.host.many import install_many

RUNS = 30
COUNT = 100
BAR = 2.0  # times `systemctl list-units`, at most
LIBRARY = "import argparse, ctypes, dataclasses, json, typing"
OWN = "import atomic_sys.__main__, atomic_sys.cli.containers_list, atomic_sys.systemd.query"
COMMANDS = {
    "systemctl list-units": ["systemctl", "list-units", "--no-pager", "c*.service"],
    "atomic containers list": ["atomic", "containers", "list"],
    "atomic containers list --json": ["atomic", "containers", "list", "--json"],
    "atomic --version": ["atomic", "--version"],
    f"python3 -c '{LIBRARY}'": ["/usr/bin/python3", "-c", LIBRARY],
    "python3 -c pass": ["/usr/bin/python3", "-c", "pass"],
    "python3 -c 'import' of all it loads": ["/usr/bin/python3", "-c", OWN],
}
# What is printed of a part, the command that has it, and the one without it.
PARTS = (
    ("the interpreter", "python3 -c pass", None),
    ("modules of its library", f"python3 -c '{LIBRARY}'", "python3 -c pass"),
    ("our modules", "python3 -c 'import' of all it loads", f"python3 -c '{LIBRARY}'"),
)
# Inside the host, so that entering it is not measured.
MEASURE = """
import json, resource, statistics, subprocess, sys, time
def used():
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.perf_counter(), usage.ru_utime + usage.ru_stime
commands, runs = json.load(sys.stdin)
found = [([], []) for _ in commands]
for run in range(runs + 1):
    for columns, argv in zip(found, commands):
        begin = used()
        subprocess.run(argv, check=True, stdout=subprocess.DEVNULL)
        for column, now, then in zip(columns, used(), begin):
            column.append(now - then)
json.dump([[statistics.median(column[1:]) for column in columns] for columns in found], sys.stdout)
"""


def main() -> None:
    """Measure and print."""
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else RUNS
    with Host("list") as host, tempfile.TemporaryDirectory() as scratch:
        host.boot()
        install_many(host, COUNT, Path(scratch))
        asked = json.dumps([list(COMMANDS.values()), runs])
        said = host.run(["/usr/bin/python3", "-c", MEASURE], input=asked, timeout=600).stdout
    medians = dict(zip(COMMANDS, json.loads(said), strict=True))
    base, _ = medians["systemctl list-units"]
    width = max(map(len, medians))
    print(f"{'':{width}}     time     ratio        CPU")
    for command, (seconds, cpu) in medians.items():
        times = f"{seconds * 1000:6.1f} ms  {seconds / base:7.2f}  {cpu * 1000:6.1f} ms"
        print(f"{command:{width}}  {times}")
    whole, parts = medians["atomic containers list"][1], 0.0
    for part, command, without in PARTS:
        cpu = medians[command][1] - (medians[without][1] if without else 0.0)
        parts += cpu
        print(f"{part:{width}}  {cpu * 1000:24.1f} ms")
    print(f"{'arguments, question, records, table':{width}}  {(whole - parts) * 1000:24.1f} ms")
    print(f"bar: `atomic containers list` at most {BAR:g} times `systemctl list-units`")


if __name__ == "__main__":
    main()
