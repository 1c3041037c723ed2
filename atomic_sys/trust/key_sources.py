# SPDX-License-Identifier: LGPL-2.1-or-later
"""The keys that a requirement names, as bytes: all of them, or an error that says which is missing.

Pure, but for the reader of files handed in.
"""

from collections.abc import Callable
from typing import assert_never

from atomic_sys.errors import AtomicSysError
from atomic_sys.trust.requirements import (
    KeyData,
    KeyDatas,
    KeyPath,
    KeyPaths,
    KeySource,
    SigstoreKeySource,
)

KeyReader = Callable[[str], bytes]


class UnusableKeys(AtomicSysError):
    """The keys of a requirement cannot be had; then it is not met."""


def read_keys(source: SigstoreKeySource, read: KeyReader) -> tuple[tuple[str, bytes], ...]:
    """The content of each key with a name for it. Raises UnusableKeys."""
    match source:
        case KeyData(data):
            return (("keyData", data),)
        case KeyDatas(datas):
            return tuple((f"keyDatas[{number}]", data) for number, data in enumerate(datas))
        case KeyPath(path):
            return ((path, _read(path, read)),)
        case KeyPaths(paths):
            return tuple((path, _read(path, read)) for path in paths)
        case _ as unreachable:
            assert_never(unreachable)


def _read(path: str, read: KeyReader) -> bytes:
    try:
        return read(path)
    except OSError as error:
        raise UnusableKeys(f"cannot read the key file {path}: {error.strerror}") from None
    except AtomicSysError as error:
        raise UnusableKeys(f"cannot read the key file {path}: {error}") from None


def describe(source: KeySource) -> str:
    """Where the keys are, in words."""
    match source:
        case KeyData():
            return "keyData"
        case KeyPath(path):
            return path
        case KeyPaths(paths):
            return ", ".join(paths) or "an empty list of key files"
        case _ as unreachable:
            assert_never(unreachable)
