# SPDX-License-Identifier: LGPL-2.1-or-later
"""From a source to the one image for this host, through an index where there is one.

Each document is fetched once; an instance is fetched by the digest that its index gives, and its
bytes have that digest and size.
"""

from dataclasses import dataclass

from atomic_sys.image.origin import Origin, RawManifest
from atomic_sys.model import manifest as documents
from atomic_sys.model.manifest import Index, InvalidManifest, Manifest
from atomic_sys.model.platform import Platform
from atomic_sys.model.stream import ContentMismatch

MAX_NESTING = 3  # indexes on the way to a manifest


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolvedImage:
    """The instance for one platform; `index` is the outermost index that led to it."""

    raw: RawManifest
    manifest: Manifest
    index: RawManifest | None


def resolve(origin: Origin, platform: Platform) -> ResolvedImage:
    """Fetch the manifest that the source names, for a host of this platform.

    Raises AtomicSysError: InvalidManifest for what is ambiguous, nested too deep or not what its
    index says, and whatever the origin raises.
    """
    raw = origin.manifest(None)
    document = documents.parse(raw.raw, content_type=raw.content_type)
    index: RawManifest | None = None
    for _ in range(MAX_NESTING):
        if isinstance(document, Manifest):
            break
        index = index or raw
        raw, document = _entry(origin, document, platform)
    if isinstance(document, Index):
        raise InvalidManifest(f"{origin.description}: more than {MAX_NESTING} nested indexes")
    return ResolvedImage(raw=raw, manifest=document, index=index)


def _entry(
    origin: Origin, index: Index, platform: Platform
) -> tuple[RawManifest, Manifest | Index]:
    entry = index.choose(platform)
    raw = origin.manifest(entry.digest)
    if len(raw.raw) != entry.size:
        raise ContentMismatch(
            f"manifest {entry.digest} has {len(raw.raw)} bytes, its index says {entry.size}"
        )
    document = documents.parse(raw.raw, content_type=raw.content_type or entry.media_type)
    if document.media_type != entry.media_type:
        raise InvalidManifest(
            f"manifest {entry.digest} is {document.media_type!r},"
            f" its index says {entry.media_type[:160]!r}"
        )
    return raw, document
