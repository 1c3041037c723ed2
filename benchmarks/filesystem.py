# SPDX-License-Identifier: LGPL-2.1-or-later
"""A fresh file system for each measurement: ext4 with a journal, in a file, by a loop device.

What a machine's own disk has behind it (deleted inodes, a full journal, no journal) decides more
than the programs that are measured. Needs root.
"""

import contextlib
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

SIZE = "6G"  # sparse: only what is written takes space


@contextlib.contextmanager
def fresh(directory: Path, features: str = "") -> Iterator[Path]:
    """The mount point of a new, empty file system, whose file is in the directory.

    `features` are those of mke2fs(8) `-O` that it has besides its usual ones.

    Raises CalledProcessError.
    """
    with tempfile.TemporaryDirectory(prefix="benchmark.", dir=directory) as scratch:
        image, mounted = Path(scratch, "image"), Path(scratch, "mounted")
        mounted.mkdir()
        _run("truncate", "-s", SIZE, image)
        _run(
            "mke2fs", "-q", "-t", "ext4", "-m", "0", *(("-O", features) if features else ()), image
        )
        argv = ["losetup", "--find", "--show", "--direct-io=on", str(image)]
        device = subprocess.run(argv, check=True, capture_output=True, text=True).stdout.strip()
        try:
            # Else the kernel goes on with what mke2fs left undone, at the cost of what is measured.
            _run("mount", "-o", "noinit_itable", device, mounted)
            try:
                yield mounted
            finally:
                _run("umount", mounted)
        finally:
            _run("losetup", "--detach", device)


def _run(*argv: str | Path) -> None:
    subprocess.run(list(argv), check=True, capture_output=True)
