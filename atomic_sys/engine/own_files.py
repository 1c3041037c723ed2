# SPDX-License-Identifier: LGPL-2.1-or-later
"""A deployment's rendered files against the checksums in its record.

What differs can be rendered again from the same image and the same values; it is put back only
where it is what was there, byte for byte.
"""

import os
from collections.abc import Mapping

from atomic_sys.engine.observe import Installed, read_deployment_file
from atomic_sys.engine.rendered_files import CONFIG_NAME, RenderedFile, sha256
from atomic_sys.fs.atomic import write_file
from atomic_sys.fs.directory import open_directory


def is_recorded(deployment: Installed) -> bool:
    """Whether the record has them: that of the predecessor has not."""
    return deployment.record is not None and CONFIG_NAME in deployment.record.checksums


def changed(deployment: Installed, root: int) -> tuple[str, ...]:
    """The names of those that differ from the record, or are missing. Raises OSError."""
    record = deployment.record
    recorded = {} if record is None else record.checksums
    return tuple(name for name in recorded if not is_whole(deployment, name, root))


def is_whole(deployment: Installed, name: str, root: int) -> bool:
    """Whether a file is as the record says; one that it does not have is. Raises OSError."""
    recorded = None if deployment.record is None else deployment.record.checksums.get(name)
    if recorded is None:
        return True
    found = read_deployment_file(root, deployment.deployment, name)
    return found is not None and sha256(found) == recorded


def put_back(deployment: Installed, files: Mapping[str, RenderedFile], root: int) -> None:
    """Write those that differ, as far as `files` has exactly what was there. Raises OSError."""
    record = deployment.record
    for name in changed(deployment, root):
        file = files.get(name)
        if record is None or file is None or sha256(file.content) != record.checksums[name]:
            continue
        fd = open_directory(root, deployment.deployment)
        try:
            write_file(fd, name, file.content, file.mode)
        finally:
            os.close(fd)
