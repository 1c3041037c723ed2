# SPDX-License-Identifier: LGPL-2.1-or-later
"""Which deployments live processes still have mounted: what outlives an update keeps its files.

A payload such as docker's shims runs on in its mount namespace when its container is updated.
Source: proc_pid_mountinfo(5), field 4 is the part of the file system that is mounted.
"""

import os
import re
from collections.abc import Iterable, Iterator

_PROTECTED = re.compile(rb"(/[^/]+\.[0-9]+(?:/rootfs)?)\0.*\1\Z", re.DOTALL)
_ESCAPE = re.compile(rb"\\([0-7]{3})")


def mounted_roots(proc: str = "/proc") -> frozenset[bytes]:
    """What all processes have mounted: the paths below the roots of their file systems."""
    roots: set[bytes] = set()
    seen: set[int] = set()
    for pid in filter(str.isdigit, os.listdir(proc)):
        try:
            namespace = os.stat(f"{proc}/{pid}/ns/mnt").st_ino
            if namespace in seen:
                continue
            seen.add(namespace)
            with open(f"{proc}/{pid}/mountinfo", "rb") as stream:
                roots.update(_used(stream))
        except OSError:  # it has ended since
            continue
    return frozenset(roots)


def in_use(deployment: str, roots: frozenset[bytes]) -> bool:
    """Whether anything of the deployment, by its own name `NAME.N`, is among the roots."""
    part = os.fsencode(deployment)
    return any(part in root.split(b"/") for root in roots)


def _used(mountinfo: Iterable[bytes]) -> Iterator[bytes]:
    """What is mounted, but for deployments that are mounted upon themselves (protection.py).

    That is nobody's use of them: a container has them elsewhere, at its own root.
    """
    for line in mountinfo:
        root, target = map(_unescaped, line.split()[3:5])
        if not _PROTECTED.search(root + b"\0" + target):
            yield root


def _unescaped(text: bytes) -> bytes:
    return _ESCAPE.sub(lambda match: bytes([int(match[1], 8)]), text)
