# SPDX-License-Identifier: LGPL-2.1-or-later
"""Logins written to an auth.json: under a lock, whole or not at all, readable by their user alone.

What else the file holds stays as it is. Source: containers-auth.json(5).
"""

import contextlib
import json
import os
from collections.abc import Callable, Iterator

from atomic_sys.errors import AtomicSysError
from atomic_sys.fs.atomic import read_file, write_file
from atomic_sys.fs.directory import open_root
from atomic_sys.fs.lock import LockKind, locked
from atomic_sys.image import auth_file
from atomic_sys.image.auth_file import Password
from atomic_sys.image.credentials import LIMIT
from atomic_sys.model import strict_json
from atomic_sys.model.strict_json import Json, as_object


def save(path: str, key: str, credentials: Password, *, timeout: float) -> None:
    """Put the credentials under this key of the file, which is made where there is none.

    `timeout` is in seconds. Raises AtomicSysError, Busy among them.
    """

    def change(auths: dict[str, Json]) -> bool:
        auths[key] = {"auth": auth_file.encoded(credentials)}
        return True

    with _reasons(path):
        os.makedirs(os.path.dirname(os.path.realpath(path)), mode=0o700, exist_ok=True)
        _change(path, change, timeout)


def remove(path: str, key: str | None, *, timeout: float) -> bool:
    """Take the key, or every key, out of the file; whether there was something to remove.

    A key in an older spelling goes too. Raises as save() does.
    """

    def change(auths: dict[str, Json]) -> bool:
        gone = [name for name in auths if key is None or auth_file.normal_key(name) == key]
        for name in gone:
            del auths[name]
        return bool(gone)

    if not os.path.exists(path):
        return False
    with _reasons(path):
        return _change(path, change, timeout)


def _change(path: str, change: Callable[[dict[str, Json]], bool], timeout: float) -> bool:
    directory, name = os.path.split(os.path.realpath(path))
    dfd = open_root(directory)
    try:
        with locked(dfd, f".{name}.lock", LockKind.EXCLUSIVE, timeout=timeout, what=path):
            content = read_file(dfd, name, LIMIT) or b""
            body: dict[str, Json] = {}
            if content.strip():
                body = dict(as_object(strict_json.loads(content, path), path))
            auths = dict(as_object(body.get("auths") or {}, f"{path}: auths"))
            changed = change(auths)
            if changed:
                body["auths"] = auths
                write_file(dfd, name, json.dumps(body, indent=4).encode() + b"\n", 0o600)
            return changed
    finally:
        os.close(dfd)


@contextlib.contextmanager
def _reasons(path: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise AtomicSysError(f"cannot write {path}: {error.strerror}") from error
