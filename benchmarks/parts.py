# SPDX-License-Identifier: LGPL-2.1-or-later
"""Where the time of a pull and of its checkout goes: each part alone, one after the other.

    python -m benchmarks.parts [-n RUNS] [--image NAME]... [--directory DIR]

The image comes from a layout, so there is no registry and no network in it; each run has a new file
system. Medians in milliseconds. `main` is the thread that reads tar and writes objects; beside it
one fetches, hashes and inflates. Needs root.
"""

import argparse
import os
import resource
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from atomic_sys.cli.progress import QuietReport
from atomic_sys.engine.layers import import_layers
from atomic_sys.engine.pull import accept, fetch_config, wanted_layers
from atomic_sys.frozen import frozen
from atomic_sys.fs.atomic import sync_file_system
from atomic_sys.fs.directory import open_root
from atomic_sys.host import Host, HostOptions
from atomic_sys.model import image_config
from atomic_sys.verbs.sourcing import locate, make_judge, parse_image
from benchmarks import images
from benchmarks.filesystem import fresh
from benchmarks.measure import median
from benchmarks.ours import write_policy
from tests.host.base import cache_directory

RUNS = 3


@frozen
class Times:
    """Seconds: wall time, the main thread's for the user and in the kernel, all CPU time."""

    wall: float
    user: float
    system: float
    all: float


Parts = dict[str, list[Times]]


@contextmanager
def measured(name: str, parts: Parts) -> Iterator[None]:
    """Add to the parts what the block takes."""
    wall, thread, everything = time.perf_counter(), _used(resource.RUSAGE_THREAD), _all()
    yield
    user, system = (b - a for a, b in zip(thread, _used(resource.RUSAGE_THREAD), strict=True))
    wall = time.perf_counter() - wall
    parts[name].append(Times(wall=wall, user=user, system=system, all=_all() - everything))


def _used(whose: int) -> tuple[float, float]:
    used = resource.getrusage(whose)
    return used.ru_utime, used.ru_stime


def _all() -> float:
    return sum(_used(resource.RUSAGE_SELF)) + sum(_used(resource.RUSAGE_CHILDREN))


def pull(layout: Path, name: str, directory: Path, parts: Parts) -> None:
    """Pull the image layer by layer and check it out."""
    options = HostOptions(root=os.fspath(directory), policy=write_policy(directory))
    image = f"oci:{layout}:{name}-v1"
    with Host(options, {}) as host:
        at = locate(host, parse_image(image))
        accepted = accept(at, host.platform, make_judge(host))
        config = fetch_config(at.origin, accepted.resolved.manifest.config)
        for layer in wanted_layers(accepted, image_config.parse(config), host.store.has_layer):
            with measured(f"a layer of {layer.descriptor.size / 1e6:.1f} MB", parts):
                import_layers([layer], at.origin, host.store, QuietReport())
        with measured("merging and storing the image", parts):
            stored = host.store.put_image(accepted.to_store(config))
    with Host(options, {}) as host:
        with measured("reading and verifying its tree", parts):
            tree = host.store.tree(stored)
        root = open_root(os.fspath(directory))
        with measured("checking it out, synced", parts):
            host.store.check_out(tree, root, "rootfs")
            sync_file_system(root)
        os.close(root)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.parts")
    parser.add_argument("-n", "--runs", type=int, default=RUNS, help="default: %(default)s")
    parser.add_argument("--image", action="append", choices=images.NAMES, help="this one only")
    parser.add_argument("--directory", type=Path, default=Path("/dev/shm"), help="for files")  # noqa: S108 - memory, unless the user says otherwise
    arguments = parser.parse_args()
    layout = images.build(cache_directory())
    print("| image | part | wall ms | main, user | main, kernel | CPU of all |")
    print("|---|---|---|---|---|---|")
    for name in arguments.image or ("etcd", "files"):
        parts: Parts = defaultdict(list)
        for _ in range(arguments.runs):
            with fresh(arguments.directory) as directory:
                pull(layout, name, directory, parts)
        for part, times in parts.items():
            columns = zip(*((t.wall, t.user, t.system, t.all) for t in times), strict=True)
            row = " | ".join(f"{median(column) * 1000:.0f}" for column in columns)
            print(f"| {name} | {part} | {row} |")


if __name__ == "__main__":
    main()
