# SPDX-License-Identifier: LGPL-2.1-or-later
"""The mounts of a host, for the verbs that make them and for those that clean up."""

import contextlib
import os
from collections.abc import Iterator

from atomic_sys.engine.mounts import DIRECTORY, Mounts
from atomic_sys.engine.observe import exists_in
from atomic_sys.fs.directory import make_directories
from atomic_sys.host import Host


@contextlib.contextmanager
def open_mounts(host: Host) -> Iterator[Mounts]:
    """The mounts, for the length of the block. Raises OSError."""
    os.close(make_directories(host.root, host.paths.checkouts))
    fd = make_directories(host.root, f"{host.paths.checkouts}/{DIRECTORY}", 0o700)
    try:
        yield Mounts(fd, host.options.lock_timeout)
    finally:
        os.close(fd)


def clean_mounts(host: Host) -> None:
    """Remove what mounts that are gone have left. Raises Busy, OSError."""
    above, _, name = f"{host.paths.checkouts}/{DIRECTORY}".rpartition("/")
    if exists_in(host.root, above, name):
        with open_mounts(host) as mounts:
            mounts.clean()
