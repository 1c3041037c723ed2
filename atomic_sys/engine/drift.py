# SPDX-License-Identifier: LGPL-2.1-or-later
"""What on the host is not any more as it was installed: unit, tmpfiles and host files."""

import os

from atomic_sys.engine.checksum import checksum
from atomic_sys.engine.observe import Installed, read_deployment_file
from atomic_sys.fs.directory import open_directory
from atomic_sys.paths import Paths


def drift(installed: Installed, root: int, paths: Paths) -> tuple[str, ...]:
    """The files that differ or are missing, by their paths. Raises OSError."""
    name = installed.name
    changed = [
        f"{directory}/{on_host}"
        for directory, on_host, in_deployment in (
            (paths.units, name.unit, name.unit),
            (paths.tmpfiles, name.tmpfiles, f"tmpfiles-{name.tmpfiles}"),
        )
        if not installed.preinstalled
        and read_deployment_file(root, directory, on_host)
        != read_deployment_file(root, installed.deployment, in_deployment)
    ]
    record = installed.record
    for path, expected in ({} if record is None else record.host_files).items():
        if checksum_in(root, path) != expected:
            changed.append(path)
    return tuple(changed)


def checksum_in(root: int, path: str) -> str | None:
    """As the record keeps it; None where nothing is. Raises OSError."""
    directory, _, name = path.rpartition("/")
    try:
        fd = open_directory(root, directory or ".")
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        return checksum(fd, name)
    finally:
        os.close(fd)
