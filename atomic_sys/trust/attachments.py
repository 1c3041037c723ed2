# SPDX-License-Identifier: LGPL-2.1-or-later
"""Sigstore attachments as an image beside the image: the documents, pure.

What cosign attaches to a manifest is an OCI image of its own under the tag `sha256-HEX.sig` in the
same repository; each of its layers is a payload, with the signature in the layer's annotations.
Source: cosign's specs/SIGNATURE_SPEC.md.
"""

import json
from collections.abc import Sequence

from atomic_sys.errors import AtomicSysError
from atomic_sys.frozen import frozen
from atomic_sys.model import manifest as documents
from atomic_sys.model.digest import Digest
from atomic_sys.model.manifest import OCI_MANIFEST, Descriptor, Manifest
from atomic_sys.trust.framing import SigstoreAttachment
from atomic_sys.trust.signatures import MAX_SIGNATURES, SIGNATURE_LIMIT

CONFIG_TYPE = "application/vnd.oci.image.config.v1+json"


class InvalidAttachments(AtomicSysError):
    """What is under the tag of attachments holds none."""


def attachment_tag(digest: Digest) -> str:
    """The tag under which the attachments of the manifest with this digest are."""
    return f"{digest.algorithm}-{digest.hex}.sig"


def parse_attachments(document: bytes, source: str) -> tuple[Descriptor, ...]:
    """The payloads that the manifest names, as descriptors. Raises AtomicSysError."""
    parsed = documents.parse(document)
    if not isinstance(parsed, Manifest) or parsed.media_type != OCI_MANIFEST:
        raise InvalidAttachments(f"{source} is not an OCI image manifest")
    if len(parsed.layers) > MAX_SIGNATURES:
        raise InvalidAttachments(f"more than {MAX_SIGNATURES} signatures: {source}")
    for layer in parsed.layers:
        if layer.size > SIGNATURE_LIMIT:
            raise InvalidAttachments(f"{source}: a payload of more than {SIGNATURE_LIMIT} bytes")
    return parsed.layers


@frozen
class AttachmentImage:
    """An image of attachments, to be written; its layers are the payloads."""

    config: bytes
    manifest: bytes


def build_image(attachments: Sequence[SigstoreAttachment]) -> AttachmentImage:
    """The image of all of these attachments. Raises InvalidAttachments where they are too many."""
    if len(attachments) > MAX_SIGNATURES:
        raise InvalidAttachments(
            f"with {len(attachments)} signatures there would be more than {MAX_SIGNATURES},"
            " which nobody reads"
        )
    layers = [
        {
            "mediaType": one.mime,
            "digest": str(Digest.of(one.payload)),
            "size": len(one.payload),
            "annotations": dict(sorted(one.annotations.items())),
        }
        for one in attachments
    ]
    diff_ids = [str(Digest.of(one.payload)) for one in attachments]
    config = json.dumps({
        "architecture": "",
        "os": "",
        "config": {},
        "rootfs": {"type": "layers", "diff_ids": diff_ids},
    }).encode()
    manifest = json.dumps({
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": {
            "mediaType": CONFIG_TYPE,
            "digest": str(Digest.of(config)),
            "size": len(config),
        },
        "layers": layers,
    }).encode()
    return AttachmentImage(config=config, manifest=manifest)
