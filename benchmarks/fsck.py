# SPDX-License-Identifier: LGPL-2.1-or-later
"""How fast the store is checked, against sha256sum(1) on as many processors, in turn.

`python -m benchmarks.fsck [FILES]` (default 30000) makes a store in memory with so many small files
and some large ones, checks it, and lets sha256sum read the same objects.
"""

import hashlib
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from atomic_sys.fs.workers import processors
from atomic_sys.store.fsck import fsck
from atomic_sys.store.store import Store
from tests.support import layers

ROUNDS = 5
BAR = 0.70  # of sha256sum's rate
_SIZES = (200, 2000, 8000, 20000)  # bytes of the small files
_LARGE, _LARGE_COUNT = 40 << 20, 10


def fill(store: Store, files: int) -> None:
    """Import a layer with this many small files."""
    members = [
        layers.file(f"d{n % 100}/f{n}", content(n, _SIZES[n % len(_SIZES)])) for n in range(files)
    ]
    members += [layers.file(f"large{n}", content(files + n, _LARGE)) for n in range(_LARGE_COUNT)]
    store.import_layer(layers.layer_import(members), layers.stream(members))


def content(number: int, size: int) -> bytes:
    """Bytes that nothing packs, the same in every run."""
    return hashlib.shake_128(b"%d" % number).digest(size)


def seconds(work: Callable[[], object]) -> float:
    """How long it takes, by the clock."""
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def main() -> None:
    """Measure and print."""
    files = int(sys.argv[1]) if len(sys.argv) > 1 else 30_000
    with tempfile.TemporaryDirectory(dir="/dev/shm", prefix="fsck-bench.") as top:
        fd = os.open(top, os.O_RDONLY | os.O_DIRECTORY)
        store = Store.create(fd, "repo")
        fill(store, files)
        report = fsck(store.repository, lambda _count: None)
        objects = Path(top, "repo/objects")
        names = "\0".join(str(path) for path in objects.glob("*/*.file")).encode()
        peer = ["xargs", "-0", f"-P{processors()}", "-n", "4000", "sha256sum"]

        def hash_them() -> None:
            subprocess.run(peer, input=names, stdout=subprocess.DEVNULL, check=True)

        pairs = [
            (seconds(lambda: fsck(store.repository, lambda _count: None)), seconds(hash_them))
            for _ in range(ROUNDS)
        ]
        store.close()
        os.close(fd)
    ours, theirs = (statistics.median(column) for column in zip(*pairs, strict=True))
    ratio = statistics.median(peer / own for own, peer in pairs)
    print(f"{report.objects} objects, {report.bytes / 1e6:.0f} MB, {processors()} processors")
    print(f"atomic fsck                     {ours:.2f} s")
    print(f"sha256sum                       {theirs:.2f} s")
    print(f"rate, pair by pair              {ratio:.2f}   (bar: at least {BAR:.2f})")


if __name__ == "__main__":
    main()
