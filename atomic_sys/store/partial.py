# SPDX-License-Identifier: LGPL-2.1-or-later
"""Commits whose tree is here, but not the content of all of its files.

libostree knows them by the file `state/HEX.commitpartial`, and so do its fsck and its prune.
Source: ostree-repo-commit.c of libostree, ostree_repo_mark_commit_partial().
"""

import contextlib
import os

from atomic_sys.fs.atomic import write_file
from atomic_sys.fs.directory import exists, opened
from atomic_sys.store.objects import Checksum
from atomic_sys.store.repository import Repository

_STATE = "state"


def is_partial(repository: Repository, commit: Checksum) -> bool:
    """Whether contents of this commit's files may be missing without any damage. Raises OSError."""
    with opened(repository.fd, _STATE) as fd:
        return exists(fd, _mark(commit))


def mark_partial(repository: Repository, commit: Checksum) -> None:
    """Say so of a commit, before any ref names it. Raises OSError."""
    with opened(repository.fd, _STATE) as fd:
        write_file(fd, _mark(commit), b"")


def forget_partial(repository: Repository, commit: Checksum) -> None:
    """Remove what was said of a commit that is gone. Raises OSError."""
    with opened(repository.fd, _STATE) as fd, contextlib.suppress(FileNotFoundError):
        os.unlink(_mark(commit), dir_fd=fd)


def _mark(commit: Checksum) -> str:
    return f"{commit.hex()}.commitpartial"
