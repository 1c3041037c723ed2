# SPDX-License-Identifier: LGPL-2.1-or-later
"""The files that say who is trusted: policy.json, key files, registries.d.

Each is read whole, once, with a limit, and only if it is a regular file.
"""

import errno
import os
import stat
import urllib.parse
from collections.abc import Sequence
from dataclasses import replace

from atomic_sys.errors import AtomicSysError, Rejected
from atomic_sys.frozen import frozen
from atomic_sys.log import warn
from atomic_sys.model.stream import read_limited
from atomic_sys.trust import lookaside, policy
from atomic_sys.trust.requirements import Policy

KEY_LIMIT = 4 << 20  # bytes


@frozen
class LoadedPolicy:
    """A policy and the file that it is from."""

    path: str
    policy: Policy


def read_regular(path: str, limit: int) -> tuple[bytes, os.stat_result]:
    """Content and status of a regular file; links are followed.

    Raises OSError (EINVAL for a path that is no regular file), TooLarge.
    """
    if "\0" in path:
        raise OSError(errno.EINVAL, "a NUL in the path", path)
    # O_NONBLOCK: opening a pipe must not wait for a writer.
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EINVAL, "not a regular file", path)
        with open(fd, "rb", closefd=False) as stream:
            return read_limited(stream, limit, path), status
    finally:
        os.close(fd)


def own_file(path: str | None) -> tuple[str, ...]:
    """The path of the caller's own configuration, if it is there; it goes before the host's.

    Who becomes root with sudo(8) may keep a home that is another user's, who is not to decide what
    root trusts: then it is passed over with a warning.
    """
    try:
        if path is None or os.stat(path).st_uid in (0, os.geteuid()):
            return () if path is None else (path,)
    except OSError:
        return ()
    warn(f"{path} is not used: it belongs to another user")
    return ()


def find_policy(candidates: Sequence[str]) -> tuple[str, bytes]:
    """Path and content of the first policy file that exists, whatever is in it.

    Warns when others than its owner can write it. Raises Rejected when there is none,
    AtomicSysError for one that cannot be read.
    """
    for path in candidates:
        try:
            document, status = read_regular(path, policy.POLICY_LIMIT)
        except FileNotFoundError:
            continue
        except OSError as error:
            raise AtomicSysError(f"cannot read the policy {path}: {error.strerror}") from error
        if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            warn(f"the policy {path} can be written by others than its owner")
        return path, document
    raise Rejected(
        f"no trust policy: {' and '.join(candidates)} not found",
        hint="atomic trust default reject makes one; atomic trust add says whom you trust",
    )


def load_policy(candidates: Sequence[str]) -> LoadedPolicy:
    """The first policy file that exists.

    Raises as find_policy() does, and InvalidPolicy for a file that is not valid.
    """
    path, document = find_policy(candidates)
    return LoadedPolicy(path=path, policy=policy.parse(document, path))


def read_key_file(path: str) -> bytes:
    """The content of a key file of the policy. Raises OSError, TooLarge."""
    return read_regular(path, KEY_LIMIT)[0]


def load_lookaside(directory: str, home: str | None = None) -> lookaside.LookasideConfig:
    """The configuration in all `*.yaml` files of a registries.d; a missing directory is empty.

    `home` is that of a user who has a store of one's own where the files name none.
    Raises InvalidLookaside, and AtomicSysError for what cannot be read.
    """
    try:
        names = sorted(os.listdir(directory))
    except FileNotFoundError:
        names = []
    except OSError as error:
        raise AtomicSysError(f"cannot list {directory}: {error.strerror}") from error
    paths = [os.path.join(directory, name) for name in names if name.endswith(".yaml")]
    try:
        documents = [(path, read_regular(path, lookaside.DOCUMENT_LIMIT)[0]) for path in paths]
    except OSError as error:
        raise AtomicSysError(f"cannot read {error.filename}: {error.strerror}") from error
    config = lookaside.parse(documents)
    if home is None:
        return config
    own = urllib.parse.quote(os.path.join(home, lookaside.OWN_LOOKASIDE))
    return replace(config, builtin=f"file://{own}")
