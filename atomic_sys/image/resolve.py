# SPDX-License-Identifier: LGPL-2.1-or-later
"""From a source to the one image for this host, or to all of them, through indexes.

Each document is fetched once; an instance is fetched by the digest that its index gives, and its
bytes have that digest and size.
"""

from atomic_sys.frozen import frozen
from atomic_sys.image.origin import Origin, RawManifest
from atomic_sys.model import manifest as documents
from atomic_sys.model.digest import Digest
from atomic_sys.model.manifest import Descriptor, Index, InvalidManifest, Manifest
from atomic_sys.model.platform import Platform
from atomic_sys.model.stream import ContentMismatch

MAX_NESTING = 3  # indexes on the way to a manifest
MAX_DOCUMENTS = 4096  # manifests and indexes below one index


@frozen
class ResolvedImage:
    """The instance for one platform; `index` is the outermost index that led to it."""

    raw: RawManifest
    manifest: Manifest
    index: RawManifest | None


@frozen
class Document:
    """A manifest or an index, as it came and what it says."""

    raw: RawManifest
    content: Manifest | Index


def fetch(origin: Origin) -> Document:
    """The document that the source names. Raises AtomicSysError."""
    raw = origin.manifest(None)
    return Document(raw=raw, content=documents.parse(raw.raw, content_type=raw.content_type))


def expand(origin: Origin, top: Document) -> tuple[Document, ...]:
    """The document and all that its index leads to, each once, what is named before who names it.

    Raises AtomicSysError as resolve() does, and InvalidManifest for more than MAX_DOCUMENTS.
    """
    found: dict[Digest, Document] = {}

    def visit(document: Document, depth: int) -> None:
        if isinstance(document.content, Index):
            if depth > MAX_NESTING:
                raise _too_deep(origin)
            for entry in document.content.manifests:
                if entry.digest not in found:
                    visit(_follow(origin, entry), depth + 1)
        if len(found) >= MAX_DOCUMENTS:
            raise InvalidManifest(f"{origin.description}: more than {MAX_DOCUMENTS} manifests")
        found[document.raw.digest] = document

    visit(top, 1)
    return tuple(found.values())


def resolve(origin: Origin, platform: Platform) -> ResolvedImage:
    """Fetch the manifest that the source names, for a host of this platform.

    Raises AtomicSysError: InvalidManifest for what is ambiguous, nested too deep or not what its
    index says, and whatever the origin raises.
    """
    return select(origin, fetch(origin), platform)


def select(origin: Origin, top: Document, platform: Platform) -> ResolvedImage:
    """The same from a document that was fetched before."""
    document = top
    for _ in range(MAX_NESTING):
        if isinstance(document.content, Manifest):
            break
        document = _follow(origin, document.content.choose(platform))
    if isinstance(document.content, Index):
        raise _too_deep(origin)
    return ResolvedImage(
        raw=document.raw,
        manifest=document.content,
        index=None if document is top else top.raw,
    )


def _too_deep(origin: Origin) -> InvalidManifest:
    return InvalidManifest(f"{origin.description}: more than {MAX_NESTING} nested indexes")


def _follow(origin: Origin, entry: Descriptor) -> Document:
    """What the entry of an index promises."""
    raw = origin.manifest(entry.digest)
    if len(raw.raw) != entry.size:
        raise ContentMismatch(
            f"manifest {entry.digest} has {len(raw.raw)} bytes, its index says {entry.size}"
        )
    content = documents.parse(raw.raw, content_type=raw.content_type or entry.media_type)
    if content.media_type != entry.media_type:
        raise InvalidManifest(
            f"manifest {entry.digest} is {content.media_type!r},"
            f" its index says {entry.media_type[:160]!r}"
        )
    return Document(raw=raw, content=content)
