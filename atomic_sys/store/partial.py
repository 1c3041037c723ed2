# SPDX-License-Identifier: LGPL-2.1-or-later
"""Commits whose tree is here, but not the content of all of its files.

libostree knows them by the file `state/HEX.commitpartial`, and so do its fsck and its prune.
Source: ostree-repo-commit.c of libostree, ostree_repo_mark_commit_partial().
"""

import os

from atomic_sys.fs.atomic import write_file
from atomic_sys.fs.directory import exists, opened
from atomic_sys.store.objects import Checksum, ObjectKind
from atomic_sys.store.repository import Repository

_STATE = "state"
_SUFFIX = ".commitpartial"


def is_partial(repository: Repository, commit: Checksum) -> bool:
    """Whether contents of this commit's files may be missing without any damage. Raises OSError."""
    with opened(repository.fd, _STATE) as fd:
        return exists(fd, _mark(commit))


def mark_partial(repository: Repository, commit: Checksum) -> None:
    """Say so of a commit, before it is there. Raises OSError."""
    with opened(repository.fd, _STATE) as fd:
        write_file(fd, _mark(commit), b"")


def forget_partial(repository: Repository) -> None:
    """Remove what was said of commits that are gone. Raises OSError."""
    with opened(repository.fd, _STATE) as fd:
        for name in os.listdir(fd):
            if name.endswith(_SUFFIX) and _is_gone(repository, name.removesuffix(_SUFFIX)):
                os.unlink(name, dir_fd=fd)


def _is_gone(repository: Repository, digits: str) -> bool:
    try:
        return not repository.has(ObjectKind.COMMIT, bytes.fromhex(digits))
    except ValueError:  # somebody else's file
        return False


def _mark(commit: Checksum) -> str:
    return f"{commit.hex()}{_SUFFIX}"
