# SPDX-License-Identifier: LGPL-2.1-or-later
"""Trust files changed on disk: one process at a time, whole or not at all, owner and mode kept.

A link is followed, and stays a link. The lock files beside them stay; see fs.lock.
"""

import contextlib
import os
import re
import stat
from collections.abc import Callable, Iterator

from atomic_sys.errors import AtomicSysError
from atomic_sys.fs.atomic import sweep, write_file
from atomic_sys.fs.directory import open_root
from atomic_sys.fs.lock import LockKind, locked
from atomic_sys.trust import lookaside_edit
from atomic_sys.trust.files import load_lookaside, read_regular
from atomic_sys.trust.lookaside import DOCUMENT_LIMIT
from atomic_sys.trust.lookaside_edit import Change
from atomic_sys.trust.policy import POLICY_LIMIT

_DEFAULT_LOOKASIDES = "default.yaml"
_UNFIT = re.compile(r"[^A-Za-z0-9.]+")
_NAME_LIMIT = 120  # characters of a scope in the name of a file


def change_policy(
    path: str, change: Callable[[bytes], bytes], *, start: bytes, timeout: float
) -> bool:
    """Put what `change` makes of the policy in its place; whether that is anything new.

    Where there is no policy, `change` gets `start`. `timeout` is how many seconds to wait for
    another process. Raises whatever `change` raises, Busy, AtomicSysError.
    """
    with (
        _directory_of(path) as (dfd, name),
        locked(dfd, f".{name}.lock", LockKind.EXCLUSIVE, timeout=timeout, what=path),
    ):
        old = _read(path, POLICY_LIMIT)
        new = change(start if old is None else old[0])
        if old is not None and old[0] == new:
            return False
        _write(dfd, name, new, None if old is None else old[1])
        return True


def set_lookaside(directory: str, scope: str, change: Change, *, timeout: float) -> str | None:
    """Say this of a namespace of docker in registries.d; the path of the file that now says it.

    The file that speaks of it is changed, else one is made. None where it was said already.
    Raises InvalidLookaside when a file there is invalid, Busy, AtomicSysError.
    """
    with _locked_directory(directory, timeout) as dfd:
        section = load_lookaside(directory).docker.get(scope)
        if section is None:
            name = _new_name(directory, scope)
            write_file(dfd, name, lookaside_edit.new_file(scope, change))
            return os.path.join(directory, name)
        if change.on(section) == section:
            return None
        _change_section(
            section.source,
            lambda old: lookaside_edit.set_section(old, section.source, scope, change),
        )
        return section.source


def remove_lookaside(directory: str, scope: str, *, timeout: float) -> str | None:
    """Remove what registries.d says of a namespace of docker; the path of the file that said it.

    A file that says nothing else goes too. Raises as set_lookaside() does.
    """
    if not os.path.isdir(directory):
        return None
    with _locked_directory(directory, timeout):
        section = load_lookaside(directory).docker.get(scope)
        if section is None:
            return None
        _change_section(
            section.source,
            lambda old: lookaside_edit.remove_section(old, section.source, scope),
        )
        return section.source


def clear_lookasides(directory: str, *, timeout: float) -> tuple[str, ...]:
    """Remove every file of registries.d but default.yaml; their paths. Raises Busy, OSError."""
    if not os.path.isdir(directory):
        return ()
    with _locked_directory(directory, timeout) as dfd:
        names = [n for n in sorted(os.listdir(dfd)) if n.endswith(".yaml")]
        doomed = [name for name in names if name != _DEFAULT_LOOKASIDES]
        for name in doomed:
            os.unlink(name, dir_fd=dfd)
        os.fsync(dfd)
        return tuple(os.path.join(directory, name) for name in doomed)


def save_key(directory: str, name: str, content: bytes) -> str:
    """Put a key file for everybody to read into the directory; its path. Raises AtomicSysError."""
    path = os.path.join(directory, name)
    with _reasons(path):
        os.makedirs(directory, mode=0o755, exist_ok=True)
        dfd = open_root(directory)
        try:
            write_file(dfd, name, content)
        finally:
            os.close(dfd)
    return path


def _change_section(path: str, change: Callable[[bytes], bytes | None]) -> None:
    with _directory_of(path) as (dfd, name):
        old = _read(path, DOCUMENT_LIMIT)
        if old is None:
            raise AtomicSysError(f"{path} has just been removed")
        new = change(old[0])
        if new is not None:
            _write(dfd, name, new, old[1])
            return
        os.unlink(path)  # the name in registries.d, also where it is a link
        os.fsync(dfd)


def _new_name(directory: str, scope: str) -> str:
    """A name that no file has, with dashes for what is unfit, as the predecessor has it."""
    base = _UNFIT.sub("-", scope)[:_NAME_LIMIT].strip("-.") or "scope"
    names = [f"{base}.yaml", *(f"{base}-{number}.yaml" for number in range(2, 1000))]
    taken = set(os.listdir(directory)) | {_DEFAULT_LOOKASIDES}
    return next(name for name in names if name not in taken)


def _read(path: str, limit: int) -> tuple[bytes, os.stat_result] | None:
    try:
        return read_regular(path, limit)
    except FileNotFoundError:
        return None


def _write(dfd: int, name: str, content: bytes, old: os.stat_result | None) -> None:
    sweep(dfd, name)
    if old is None:
        write_file(dfd, name, content)
    else:
        owner = (old.st_uid, old.st_gid)
        write_file(dfd, name, content, stat.S_IMODE(old.st_mode), owner=owner)


@contextlib.contextmanager
def _directory_of(path: str) -> Iterator[tuple[int, str]]:
    """The directory of the file that the path leads to, made where there is none; and its name."""
    directory, name = os.path.split(os.path.realpath(path))
    with _reasons(path):
        os.makedirs(directory, mode=0o755, exist_ok=True)
        dfd = open_root(directory)
        try:
            yield dfd, name
        finally:
            os.close(dfd)


@contextlib.contextmanager
def _locked_directory(directory: str, timeout: float) -> Iterator[int]:
    """The directory, made where there is none; its lock file is beside it, not in it."""
    with (
        _directory_of(directory) as (above, name),
        locked(above, f".{name}.lock", LockKind.EXCLUSIVE, timeout=timeout, what=directory),
        _directory_of(os.path.join(directory, "x")) as (dfd, _),
    ):
        yield dfd


@contextlib.contextmanager
def _reasons(path: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise AtomicSysError(f"cannot write {path}: {error.strerror}") from error
