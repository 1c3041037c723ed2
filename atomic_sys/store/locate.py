# SPDX-License-Identifier: LGPL-2.1-or-later
"""Which repository: the configured one, the host's /ostree/repo, or our own beside the checkouts.

Hard links must lead from the repository to the checkouts, so the host's is used only where a real
hard link works: equal device numbers do not promise it (bind mounts, project quotas).
"""

import contextlib
import os
import secrets

from atomic_sys.errors import AtomicSysError
from atomic_sys.fs.directory import open_root

OWN = ".storage/ostree"  # below the directory of the checkouts


def choose_repository(*, configured: str | None, shared: str, checkouts: str) -> str:
    """The path of the repository to use; it need not exist yet.

    All are paths as seen from here: what the user configured, the host's repository, and the
    directory of the checkouts. Raises AtomicSysError where the last one is not there, OSError.
    """
    if configured is not None:
        return configured
    try:
        directory = open_root(checkouts)
    except FileNotFoundError:
        raise AtomicSysError(f"there is no directory {checkouts}") from None
    try:
        if os.path.isfile(os.path.join(shared, "config")) and _links(shared, directory):
            return shared
    finally:
        os.close(directory)
    return os.path.join(checkouts, OWN)


def _links(repository: str, checkouts: int) -> bool:
    """Whether a hard link from the repository's tmp/ into the checkouts' directory works."""
    try:
        source = open_root(os.path.join(repository, "tmp"))
    except OSError:
        return False
    name = f".link-test.{secrets.token_hex(6)}.tmp"
    try:
        os.close(os.open(name, os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600, dir_fd=source))
        try:
            os.link(name, name, src_dir_fd=source, dst_dir_fd=checkouts, follow_symlinks=False)
            os.unlink(name, dir_fd=checkouts)
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(name, dir_fd=source)
    except OSError:  # another file system, a read-only one, not ours: in any case not usable
        return False
    finally:
        os.close(source)
    return True
