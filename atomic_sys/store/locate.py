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
from atomic_sys.paths import SHARED_REPOSITORY, Paths

OWN = ".storage/ostree"  # below the directory of the checkouts


def repository_path(paths: Paths) -> str:
    """The path of the repository to use, as it is seen from here; it need not exist yet.

    Raises OSError, AtomicSysError where the directory of the checkouts is not there.
    """
    if paths.repository is not None:
        return paths.inside(paths.repository)
    shared = paths.inside(SHARED_REPOSITORY)
    try:
        checkouts = open_root(paths.inside(paths.checkouts))
    except FileNotFoundError:
        raise AtomicSysError(f"there is no directory {paths.checkouts}") from None
    try:
        if os.path.isfile(os.path.join(shared, "config")) and _links(shared, checkouts):
            return shared
    finally:
        os.close(checkouts)
    return os.path.join(paths.inside(paths.checkouts), OWN)


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
