# SPDX-License-Identifier: LGPL-2.1-or-later
"""How the files of content objects get their owner, mode, attributes and time.

open(2) gives most of them all but the time at once. It does not where a default ACL or a
set-group-ID bit has its own idea, or where a file belongs to others; then it takes more calls.
"""

import hashlib
import os
import stat
from functools import lru_cache
from typing import Any, NamedTuple

from atomic_sys.fs.atomic import umask
from atomic_sys.model.layer import Metadata
from atomic_sys.store.objects import encode_metadata, file_header
from atomic_sys.store.repository import USER_METADATA, Mode

EPOCH = (0, 0)  # libostree's time of all objects
_CACHE = 4096  # the same few owners and modes come over and over


class Recipe(NamedTuple):
    """What all files of one owner, mode and attributes have in common."""

    begun: Any  # a hash with the header in it; hashlib's type has no public name
    mode: int  # for open(2)
    is_whole: bool  # whether a file that open(2) made needs nothing but its bytes and its time


class Recipes:
    """The recipes for a repository of this mode."""

    def __init__(self, mode: Mode) -> None:
        self._mode = mode
        self._own = os.geteuid(), os.getegid()  # of what open(2) makes
        self._masked = umask() | stat.S_ISUID | stat.S_ISGID  # what open(2) may not set
        self._kept = lru_cache(maxsize=_CACHE)(self._make)

    def of(self, metadata: Metadata) -> Recipe:
        """The recipe. Raises AtomicSysError for an owner or a mode that no file can have."""
        # Those with attributes are not kept: these can be large, and a layer have many of them.
        return self._make(metadata) if metadata.xattrs else self._kept(metadata)

    def _make(self, metadata: Metadata) -> Recipe:
        return Recipe(
            begun=hashlib.sha256(file_header(metadata)),
            mode=metadata.mode & ~self._masked,
            is_whole=self._mode is Mode.BARE
            and (metadata.uid, metadata.gid) == self._own
            and not metadata.mode & self._masked
            and not metadata.xattrs,
        )

    def check(self, fd: int, recipe: Recipe) -> None:
        """Whether open(2) did as we think, in a directory where it has not been seen to yet."""
        found = os.fstat(fd)
        if (found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode)) != (*self._own, recipe.mode):
            self._own, self._masked = (-1, -1), 0o7777
            self._kept.cache_clear()

    def dress(self, fd: int, metadata: Metadata, *, named: bool = False) -> None:
        """Owner, mode, attributes and time, in the order in which none undoes another.

        A `named` file has its owner and mode already, where they are those that it was made with.
        Raises OSError.
        """
        if self._mode is Mode.BARE:
            if not named or (metadata.uid, metadata.gid) != self._own:
                os.fchown(fd, metadata.uid, metadata.gid)
                os.fchmod(fd, metadata.mode)
            elif metadata.mode & self._masked:
                os.fchmod(fd, metadata.mode)
            for key, value in metadata.xattrs:
                if value:  # an empty one is not part of the object
                    os.setxattr(fd, key, value)
        else:
            os.setxattr(fd, USER_METADATA, encode_metadata(metadata, stat.S_IFREG))
            os.fchmod(fd, metadata.mode & 0o775 | 0o400)
        os.utime(fd, EPOCH)
