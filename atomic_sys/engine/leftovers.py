# SPDX-License-Identifier: LGPL-2.1-or-later
"""Temporary names that processes left which died while they wrote: beside and in deployments.

What belongs to a container is written by whoever holds the lock of its name, so that under this
lock all that is temporary is left over. The rest tells by its age.
"""

import os
import re
import time
from collections.abc import Iterator

from atomic_sys.engine.observe import deployed_names, observe
from atomic_sys.errors import UsageError
from atomic_sys.frozen import frozen
from atomic_sys.fs.atomic import TEMPORARY_SUFFIX
from atomic_sys.fs.directory import open_directory, remove_tree
from atomic_sys.model.container_state import STATE_DIRECTORY
from atomic_sys.model.names import ContainerName
from atomic_sys.paths import Paths

_TEMPORARY = re.compile(rf"\.(.+)\.[0-9a-f]{{12}}{re.escape(TEMPORARY_SUFFIX)}", re.DOTALL)
_LINK_TEST = "link-test"  # what locate.py makes for a moment, without a lock
_OLD = 3600.0  # seconds after which nobody is at it any more


@frozen
class Leftover:
    """A temporary name below a directory, as seen from inside the root."""

    directory: str
    name: str

    @property
    def path(self) -> str:
        """The whole path."""
        return f"{self.directory}/{self.name}"


def leftovers_of(root: int, paths: Paths, name: ContainerName) -> Iterator[Leftover]:
    """Those of a container. Hold the lock of its name. Raises OSError."""
    for directory, owner in (
        (paths.checkouts, name.value), (f"{paths.checkouts}/{STATE_DIRECTORY}", f"{name}.json")
    ):  # fmt: skip
        if owner != _LINK_TEST:
            yield from (one for one, whose in _temporary(root, directory) if whose == owner)
    for number in observe(root, paths, name).deployments:
        yield from (one for one, _ in _temporary(root, f"{paths.checkouts}/{name}.{number}"))


def names_with_leftovers(root: int, paths: Paths) -> tuple[ContainerName, ...]:
    """The containers that may have some: a look without a lock. Raises OSError."""
    found = {
        *(whose for _, whose in _temporary(root, paths.checkouts)),
        *(
            whose.removesuffix(".json")
            for _, whose in _temporary(root, f"{paths.checkouts}/{STATE_DIRECTORY}")
        ),
    }
    for name in deployed_names(root, paths):
        if any(True for _ in leftovers_of(root, paths, name)):
            found.add(name.value)
    return tuple(sorted(filter(None, map(_parsed, found)), key=str))


def _parsed(text: str) -> ContainerName | None:
    try:
        return ContainerName.parse(text)
    except UsageError:
        return None


def old_ones(root: int, paths: Paths) -> Iterator[Leftover]:
    """Those that are of no container. Raises OSError."""
    for one, whose in _temporary(root, paths.checkouts):
        if whose == _LINK_TEST and time.time() - _changed(root, one) > _OLD:
            yield one


def _changed(root: int, one: Leftover) -> float:
    fd = open_directory(root, one.directory)
    try:
        return os.stat(one.name, dir_fd=fd, follow_symlinks=False).st_ctime
    except FileNotFoundError:
        return time.time()
    finally:
        os.close(fd)


def _temporary(root: int, directory: str) -> Iterator[tuple[Leftover, str]]:
    """The temporary names in a directory, and what they were to become."""
    try:
        fd = open_directory(root, directory)
    except (FileNotFoundError, NotADirectoryError):
        return
    try:
        names = sorted(os.listdir(fd))
    finally:
        os.close(fd)
    for name in names:
        if match := _TEMPORARY.fullmatch(name):
            yield Leftover(directory=directory, name=name), match[1]


def remove(root: int, one: Leftover) -> None:
    """Remove it, with what is below it. Raises OSError."""
    fd = open_directory(root, one.directory)
    try:
        remove_tree(fd, one.name)
    finally:
        os.close(fd)
