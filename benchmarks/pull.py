# SPDX-License-Identifier: LGPL-2.1-or-later
"""Pull and check out, against the programs that users would take instead.

    python -m benchmarks.pull [-n RUNS] [--image NAME]... [--directory DIR] [--svg FILE]

All take their turns in each round, each on a new file system, from one registry on loopback whose
files are in the page cache. Medians, and the ratios of what was measured in one round. Needs root,
docker-registry, skopeo, podman, umoci and ostree.
"""

import argparse
import compileall
import os
import signal
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import atomic_sys
from benchmarks import contenders, images
from benchmarks.chart import write_chart
from benchmarks.contenders import OURS, PODMAN, Contender
from benchmarks.filesystem import fresh
from benchmarks.measure import Sample, peak_memory, reported, run
from benchmarks.report import CP, IN_PROCESS, Results, report
from tests.host.base import cache_directory
from tests.support.registry import docker_registry

RUNS = 5


def main() -> None:
    """Measure and print."""
    arguments = _arguments()
    if os.geteuid() != 0:
        sys.exit("python -m benchmarks.pull: needs root, for file systems of its own")
    _prepare()
    layout = images.build(cache_directory())
    names = arguments.image or images.NAMES
    results: Results = defaultdict(list)
    memory: dict[str, int] = {}
    with (
        tempfile.TemporaryDirectory(prefix="registry.", dir=arguments.directory) as scratch,
        docker_registry(Path(scratch)) as server,
    ):
        for name in names:
            for version in ("v1", "v2"):
                _push(layout, name, version, server)
        for name in names:
            with fresh(arguments.directory) as directory:
                memory[name] = peak_memory(contenders.ours(directory, f"{server}/{name}:v1"))
        who = [one for one in contenders.ALL if one.name not in arguments.without]
        try:
            for number in range(arguments.runs):
                for name in names:
                    _round(number, f"{server}/{name}", who, arguments.directory, results)
        except KeyboardInterrupt:
            print("interrupted: this is what there is", file=sys.stderr)
    described = {name: images.describe(layout, name) for name in names}
    print(report(results, described, memory))
    if arguments.svg:
        write_chart(results, list(names), Path(arguments.svg))


def _prepare() -> None:
    """Be interrupted also by SIGTERM, or file systems would stay mounted; compile what we measure.

    An installation compiles it too, and else each run would do it again.
    """
    for signal_number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(signal_number, signal.default_int_handler)
    for package in (atomic_sys.__file__, __file__):
        compileall.compile_dir(Path(package).parent, quiet=1)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.pull")
    add = parser.add_argument
    add("-n", "--runs", type=int, default=RUNS, help="rounds (default: %(default)s)")
    add("--image", action="append", choices=images.NAMES, help="this one only; may be repeated")
    add("--directory", type=Path, default=Path("/dev/shm"), help="for the file systems' files")  # noqa: S108 - memory, unless the user says otherwise
    others = [one.name for one in contenders.ALL if one is not OURS]
    add("--without", action="append", default=[], choices=others, help="leave this one out")
    add("--svg", help="write a plot to this file")
    return parser.parse_args()


def _round(
    number: int, image: str, who: Sequence[Contender], directory: Path, results: Results
) -> None:
    name = image.rpartition("/")[2]
    for contender in who:
        if contender.zstd or name not in images.ZSTD:
            print(f"round {number + 1}: {name}, {contender.name}", file=sys.stderr)
            with fresh(directory) as mounted:
                _measure(mounted, contender, image, results)


def _push(layout: Path, name: str, version: str, server: str) -> None:
    source, target = f"oci:{layout}:{name}-{version}", f"docker://{server}/{name}:{version}"
    argv = ["skopeo", "copy", "-q", "--insecure-policy", "--dest-tls-verify=false"]
    subprocess.run([*argv, source, target], check=True)


def _measure(directory: Path, contender: Contender, image: str, results: Results) -> None:
    """One turn: from nothing, again with nothing new, a new last layer, and what links cost."""
    name = image.rpartition("/")[2]

    def keep(what: str, who: str, sample: Sample) -> None:
        results[name, what, who].append(sample)

    first, second = (contender.command(directory, f"{image}:{tag}") for tag in ("v1", "v2"))
    keep("pull", contender.name, run(first, directory))
    if contender in (OURS, PODMAN):
        ours = contenders.ours_unchanged(directory, f"{image}:v1")
        keep("unchanged", contender.name, run(ours if contender is OURS else first, directory))
    if contender.again:
        keep("update", contender.name, run(second, directory))
    if contender is OURS:
        copy = ["cp", "-al", str(directory / "rootfs-v1"), str(directory / "copied")]
        again, within = (
            contenders.ours_checkout(directory, f"{image}:v1", to) for to in ("again", "within")
        )
        copied = run(copy, directory)
        keep("checkout", CP, copied)
        keep("checkout", OURS.name, run(again, directory))
        keep(IN_PROCESS, CP, copied)
        keep(IN_PROCESS, OURS.name, reported(within))


if __name__ == "__main__":
    main()
