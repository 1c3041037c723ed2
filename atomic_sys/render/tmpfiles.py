# SPDX-License-Identifier: LGPL-2.1-or-later
"""tmpfiles.d text: the directories that a container's bind mounts need.

Sources: tmpfiles.d(5); the predecessor's contract (row tmpfiles.template).
"""

import shlex
from collections.abc import Callable, Iterable

from atomic_sys.frozen import frozen
from atomic_sys.render import escape
from atomic_sys.render.unit import check_text

# What the kernel makes; a directory below would only be in the way.
_KERNEL = ("/dev", "/proc", "/sys")


@frozen
class OwnedDirectory:
    """A directory that belongs to a container's user from its creation on."""

    path: str
    uid: int
    gid: int


def missing_directories(
    sources: Iterable[str], exists: Callable[[str], bool], uid: int, gid: int
) -> str | None:
    """A line for each source that the host does not have, owned by the installer, or None.

    Raises TemplateError for a path with control characters.
    """
    lines = [
        f"d {escape.field(path)} 0700 {uid} {gid} - -\n"
        for path in sources
        if not _below_kernel(path) and not exists(path)
    ]
    return "".join(lines) or None


def owned_directories(directories: Iterable[OwnedDirectory]) -> str:
    """A line for each directory; mode and owner count only when it is made.

    The payload may hand its data to another user, and the next boot must not take it back: that is
    what the colons say. Raises TemplateError for a path with control characters.
    """
    return "".join(f"d {escape.field(d.path)} :0700 :{d.uid} :{d.gid} - -\n" for d in directories)


def check(text: str, name: str) -> str:
    """The text, if it can be a tmpfiles.d file. Raises TemplateError."""
    return check_text(text, name)


def created_paths(text: str) -> frozenset[str]:
    """The paths that a tmpfiles.d text creates, as far as they are written without specifiers.

    Whoever renders again asks this of the text that is installed: a directory that exists only
    because of a line in it must not lose that line. Lines that cannot be read are skipped.
    """
    found = set()
    for line in text.splitlines():
        try:
            words = shlex.split(line, comments=True)
        except ValueError:
            continue
        if len(words) >= 2 and words[0][0] in "dDvqQfFpL":
            path = words[1].replace("%%", "\0")
            if "%" not in path:
                found.add(path.replace("\0", "%").rstrip("/"))
    return frozenset(found)


def _below_kernel(path: str) -> bool:
    return any(path == top or path.startswith(f"{top}/") for top in _KERNEL)
