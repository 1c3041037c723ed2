# SPDX-License-Identifier: LGPL-2.1-or-later
"""What every source of images can do: give a manifest, raw, and blobs, verified.

Nothing is kept by tag: each call of manifest() asks the source exactly once, and whoever called it
goes on with those bytes and their digest. Any number of threads may ask at once.
"""

from collections.abc import Generator
from dataclasses import field
from typing import Protocol

from atomic_sys.frozen import frozen
from atomic_sys.model.digest import Digest
from atomic_sys.model.manifest import Descriptor
from atomic_sys.model.stream import ContentMismatch


@frozen
class RawManifest:
    """A manifest or index as the source gave it: these bytes are what was signed.

    `digest` is the one that was asked for, else the sha256 digest of the bytes; `content_type` is
    what the source says that it is.
    """

    raw: bytes = field(repr=False)
    digest: Digest
    content_type: str | None

    @classmethod
    def checked(
        cls, raw: bytes, *, expected: Digest | None, content_type: str | None
    ) -> "RawManifest":
        """The bytes with their digest.

        Raises ContentMismatch when they do not have the expected one.
        """
        if expected is not None and not expected.matches(raw):
            raise ContentMismatch(f"manifest {expected}: the content does not match")
        return cls(raw=raw, digest=expected or Digest.of(raw), content_type=content_type)


class Origin(Protocol):
    """A source of one image."""

    @property
    def description(self) -> str:
        """What to call it in a message."""

    def manifest(self, digest: Digest | None) -> RawManifest:
        """The manifest with this digest; None: the one that the source names.

        Raises AtomicSysError; ContentMismatch when the bytes do not have the digest.
        """

    def blob(self, descriptor: Descriptor) -> Generator[bytes, None, None]:
        """The content that the descriptor promises; closing the generator closes the connection.

        Only when the stream has ended without an error was the content what was promised. Raises
        AtomicSysError; ContentMismatch for any other content.
        """
