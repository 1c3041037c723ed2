# SPDX-License-Identifier: LGPL-2.1-or-later
"""Signatures written to files: each at the first free number, whole before it has its name.

Nothing that is there is replaced, so whoever signs at the same time loses nothing, and whoever
reads never sees a gap or half a signature.
"""

import os
import urllib.parse
from collections.abc import Iterable, Iterator

from atomic_sys.errors import AtomicSysError
from atomic_sys.fs.atomic import create_file
from atomic_sys.fs.directory import make_directories, open_root
from atomic_sys.model.digest import Digest
from atomic_sys.model.reference import DockerReference
from atomic_sys.trust.lookaside import signature_address
from atomic_sys.trust.signatures import MAX_SIGNATURES


def write_lookaside(
    base: str, reference: DockerReference, digest: Digest, blobs: Iterable[bytes]
) -> Iterator[str]:
    """Write to a lookaside store, `base` being `file:///DIRECTORY`; yields each path.

    Raises AtomicSysError.
    """
    address = signature_address(base, reference, digest, 1).removeprefix("file://")
    directory, _, _ = urllib.parse.unquote(address).rpartition("/")
    yield from _write(directory, "", blobs)


def write_beside(directory: str, instance: Digest | None, blobs: Iterable[bytes]) -> Iterator[str]:
    """Write into a `dir:` image, for the manifest or for an instance of it; yields each path.

    Raises AtomicSysError.
    """
    yield from _write(directory, "" if instance is None else f"{instance.hex}.", blobs)


def _write(directory: str, prefix: str, blobs: Iterable[bytes]) -> Iterator[str]:
    try:
        root = open_root("/")
        try:
            dfd = make_directories(root, os.path.abspath(directory))
        finally:
            os.close(root)
        try:
            for blob in blobs:
                yield os.path.join(directory, _create(dfd, prefix, blob))
        finally:
            os.close(dfd)
    except OSError as error:
        raise AtomicSysError(f"cannot write signatures to {directory}: {error.strerror}") from error


def _create(dfd: int, prefix: str, blob: bytes) -> str:
    for number in range(1, MAX_SIGNATURES + 1):
        name = f"{prefix}signature-{number}"
        try:
            create_file(dfd, name, blob)
        except FileExistsError:
            continue
        return name
    raise AtomicSysError(
        f"there are {MAX_SIGNATURES} signatures already, more than that nobody reads",
        hint="remove those that are no longer needed",
    )
