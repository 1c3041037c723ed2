# SPDX-License-Identifier: LGPL-2.1-or-later
"""Sigstore attachments of a manifest, read from where the image comes from."""

from collections.abc import Generator
from typing import Protocol

from atomic_sys.image.origin import RawManifest
from atomic_sys.model.digest import Digest
from atomic_sys.model.manifest import Descriptor
from atomic_sys.trust.attachments import InvalidAttachments, attachment_tag, parse_attachments
from atomic_sys.trust.framing import SigstoreAttachment, frame
from atomic_sys.trust.signatures import SIGNATURE_LIMIT


class TaggedOrigin(Protocol):
    """An origin where an image can have neighbours under other tags."""

    @property
    def description(self) -> str:
        """What to call it in a message."""

    def tagged(self, tag: str) -> RawManifest | None:
        """The manifest under this tag, or None."""

    def blob(self, descriptor: Descriptor) -> Generator[bytes, None, None]:
        """The content that the descriptor promises."""


def read_attachments(origin: TaggedOrigin, digest: Digest) -> tuple[SigstoreAttachment, ...]:
    """All of them, whatever their type; none where there is no such tag.

    Raises AtomicSysError when one cannot be read.
    """
    tag = attachment_tag(digest)
    raw = origin.tagged(tag)
    if raw is None:
        return ()
    source = f"{tag} of {origin.description}"
    found = []
    for number, layer in enumerate(parse_attachments(raw.raw, source), 1):
        attachment = SigstoreAttachment(
            source=f"{tag}, signature {number}",
            mime=layer.media_type,
            payload=b"".join(origin.blob(layer)),
            annotations=layer.annotations,
        )
        if len(frame(attachment)) > SIGNATURE_LIMIT:  # or it could be stored, but not read again
            raise InvalidAttachments(f"{attachment.source}: more than {SIGNATURE_LIMIT} bytes")
        found.append(attachment)
    return tuple(found)
