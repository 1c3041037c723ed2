# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the destinations share that collect all blobs before anything is written."""

from collections.abc import Iterable
from typing import Generic, Protocol, Self, TypeVar

from atomic_sys.errors import AtomicSysError
from atomic_sys.model.digest import Digest
from atomic_sys.model.manifest import Descriptor


class Collector(Protocol):
    """Collects blobs in a file without a name; safe for threads."""

    def __enter__(self) -> Self:
        """Make the file."""

    def __exit__(self, *_: object) -> None:
        """Forget it."""

    def has(self, blob: Digest) -> bool:
        """Whether the blob has been put already."""

    def put(self, blob: Descriptor, chunks: Iterable[bytes]) -> None:
        """Take a blob. Raises AtomicSysError, OSError."""


_Writer = TypeVar("_Writer", bound=Collector)


class SpooledDestination(Generic[_Writer]):
    """A Destination but for its manifests and finish(); use it as a context manager."""

    def __init__(self, description: str, writer: _Writer) -> None:
        self._description = description
        self._writer = writer

    def __enter__(self) -> Self:
        self._writer.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._writer.__exit__()

    @property
    def description(self) -> str:
        """The destination, as the user would write it."""
        return self._description

    def has_blob(self, blob: Descriptor) -> bool:
        """Whether the blob was put before."""
        return self._writer.has(blob.digest)

    def put_blob(self, blob: Descriptor, chunks: Iterable[bytes]) -> None:
        """Take a blob. Raises AtomicSysError, OSError."""
        self._writer.put(blob, chunks)

    def put_signatures(self, digest: Digest, signatures: tuple[bytes, ...]) -> None:
        """Raises AtomicSysError for any signature: there is no place for it."""
        if signatures:
            raise AtomicSysError(
                f"{self.description}: there is no place for the signatures of {digest}",
                hint="copy without them, or to dir:PATH",
            )
