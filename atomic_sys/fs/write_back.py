# SPDX-License-Identifier: LGPL-2.1-or-later
"""Writing to the disk what is there already, while more is made: the last sync then is a short one.

Linux by itself keeps what was written for up to half a minute (vm.dirty_expire_centisecs), by which
time most of what we do has ended, waiting for a disk that had nothing to do before.
"""

import contextlib
import os
import threading
import time
from collections.abc import Iterator

from atomic_sys.fs.atomic import sync_file_system

_PAUSE = 0.5  # seconds before a sync, at least
_SHARE = 3  # a pause is so many times as long as the sync before it


@contextlib.contextmanager
def written_back(fd: int) -> Iterator[None]:
    """Sync the file system of the directory `fd` now and then during the block.

    Whoever needs it synced does so at the end, and gets to know of an error then: syncfs(2) tells
    an error once to each open file description, so this has one of its own. Raises OSError.
    """
    own = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=fd)
    try:
        ended = threading.Event()
        thread = threading.Thread(target=_sync, args=(own, ended), name="write-back", daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()  # who comes after this may fork
    finally:
        os.close(own)


def _sync(fd: int, ended: threading.Event) -> None:
    pause = _PAUSE
    while not ended.wait(pause):
        begin = time.monotonic()
        with contextlib.suppress(OSError):
            sync_file_system(fd)
        pause = max(_PAUSE, _SHARE * (time.monotonic() - begin))
