# SPDX-License-Identifier: LGPL-2.1-or-later
"""Sigstore attachments of a manifest: read from where the image comes from, and written there."""

from collections.abc import Callable, Generator, Sequence
from contextlib import AbstractContextManager
from typing import Protocol, runtime_checkable

from atomic_sys.image.destination import Destination
from atomic_sys.image.origin import RawManifest
from atomic_sys.model import manifest as documents
from atomic_sys.model.digest import Digest
from atomic_sys.model.manifest import OCI_MANIFEST, Descriptor, Manifest
from atomic_sys.trust.attachments import (
    InvalidAttachments,
    attachment_tag,
    build_image,
    parse_attachments,
)
from atomic_sys.trust.framing import SigstoreAttachment, frame
from atomic_sys.trust.signatures import SIGNATURE_LIMIT


@runtime_checkable
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


OpenTagged = Callable[[str], AbstractContextManager[Destination]]  # by the tag in the repository


def write_attachments(
    origin: TaggedOrigin,
    open_tagged: OpenTagged,
    digest: Digest,
    new: Sequence[SigstoreAttachment],
) -> str:
    """Add attachments to those that the repository has; returns the tag that they are under.

    As with cosign, the tag's former manifest is replaced: of two who write at once, one may lose.
    Raises AtomicSysError.
    """
    tag = attachment_tag(digest)
    attachments = (*read_attachments(origin, digest), *new)
    image = build_image(attachments)
    parsed = documents.parse(image.manifest)
    if not isinstance(parsed, Manifest):
        raise InvalidAttachments(f"{tag} would be no image")
    contents = (image.config, *(one.payload for one in attachments))
    with open_tagged(tag) as destination:
        for blob, content in zip((parsed.config, *parsed.layers), contents, strict=True):
            if not destination.has_blob(blob):
                destination.put_blob(blob, (content,))
        raw = RawManifest.checked(image.manifest, expected=None, content_type=OCI_MANIFEST)
        destination.finish(raw)
    return tag
