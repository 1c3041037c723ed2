# SPDX-License-Identifier: LGPL-2.1-or-later
"""The checksum of a host file, as records have it."""

import hashlib
import os
import stat

NO_CONTENT = "0"  # the predecessor's checksum of a link or directory


def checksum(parent: int, name: str) -> str | None:
    """sha256 of a file in hex, `0` for a link or directory, None when there is nothing.

    A pipe or the like that has taken the name is as no record has it.
    """
    try:
        info = os.stat(name, dir_fd=parent, follow_symlinks=False)
        if stat.S_ISLNK(info.st_mode) or stat.S_ISDIR(info.st_mode):
            return NO_CONTENT
        if not stat.S_ISREG(info.st_mode):
            return "special"
        fd = os.open(name, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW, dir_fd=parent)
    except FileNotFoundError:
        return None
    with os.fdopen(fd, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
