# SPDX-License-Identifier: LGPL-2.1-or-later
"""Copy an image as it is: judged first, byte for byte, its signatures with it, its name last.

Nothing is converted or compressed, so that every digest and every signature stays valid. As with
skopeo, it is the instances that are judged, each that is copied; an index that is copied without
its instances is judged itself.
"""

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import field, replace
from enum import Enum

from atomic_sys.engine.judge import Judge, stored_form
from atomic_sys.engine.pull import ImageAt
from atomic_sys.engine.report import Report
from atomic_sys.engine.transfers import Transfer
from atomic_sys.frozen import frozen
from atomic_sys.image.destination import Destination
from atomic_sys.image.origin import RawManifest
from atomic_sys.image.resolve import Document, expand, fetch, select
from atomic_sys.image.retry import Patience
from atomic_sys.model.digest import Digest
from atomic_sys.model.manifest import Descriptor, Index, InvalidManifest, Manifest
from atomic_sys.model.platform import Platform
from atomic_sys.trust.framing import SignatureBlob
from atomic_sys.trust.verdict import Verdict

# Gives the destination for manifests of these media types.
OpenDestination = Callable[[frozenset[str]], AbstractContextManager[Destination]]


class Extent(Enum):
    """What of an index is copied; an image without one is copied in any case."""

    SYSTEM = "system"  # the instance for the platform, and not the index
    ALL = "all"
    INDEX_ONLY = "index-only"


class Signatures(Enum):
    """What becomes of the signatures."""

    KEEP = "keep"
    REMOVE = "remove"


@frozen
class Copy:
    """What to copy. `signatures` gives those of the manifest with this digest."""

    at: ImageAt
    signatures: Callable[[Digest], tuple[SignatureBlob, ...]]
    extent: Extent
    platform: Platform
    keep: Signatures


@frozen
class Copied:
    """What was copied: the manifest or index that was named, and who accepted what."""

    digest: Digest
    media_type: str
    verdicts: tuple[tuple[Digest, Verdict], ...]
    blobs: int
    signatures: int


@frozen
class _Accepted:
    """Manifests that may be copied, the one to be named last, and what is signed of them."""

    documents: tuple[Document, ...]
    verdicts: tuple[tuple[Digest, Verdict], ...]
    signatures: tuple[tuple[Digest, tuple[bytes, ...]], ...] = field(repr=False)

    @property
    def manifests(self) -> tuple[Manifest, ...]:
        return tuple(d.content for d in self.documents if isinstance(d.content, Manifest))


def copy(
    wanted: Copy,
    open_destination: OpenDestination,
    judge: Judge,
    report: Report,
    patience: Patience | None = None,
) -> Copied:
    """Copy the image. The destination is opened only for an image that is accepted.

    Raises Rejected when the policy does not accept it, and AtomicSysError for whatever else goes
    wrong; then the destination has no new image.
    """
    accepted = _judged(wanted, _documents(wanted), judge)
    types = frozenset(document.content.media_type for document in accepted.documents)
    with open_destination(types) as destination:
        for digest, signatures in accepted.signatures:
            destination.put_signatures(digest, signatures)
        transfer = Transfer(
            origin=wanted.at.origin,
            destination=destination,
            report=report,
            patience=patience or Patience(),
        )
        blobs = 0
        if wanted.extent is not Extent.INDEX_ONLY:
            layers = (layer for manifest in accepted.manifests for layer in manifest.layers)
            blobs += transfer.run(_each_once(layers), "blob")
            configs = (manifest.config for manifest in accepted.manifests)
            blobs += transfer.run(_each_once(configs), "config")
        report.say("Writing manifest to image destination")
        *others, top = map(_typed, accepted.documents)
        for other in others:
            destination.put_manifest(other)
        destination.finish(top)
    return Copied(
        digest=top.digest,
        media_type=accepted.documents[-1].content.media_type,
        verdicts=accepted.verdicts,
        blobs=blobs,
        signatures=sum(len(signatures) for _, signatures in accepted.signatures),
    )


def _documents(wanted: Copy) -> tuple[Document, ...]:
    """What is copied, the document to be named last."""
    origin = wanted.at.origin
    top = fetch(origin)
    match wanted.extent:
        case Extent.SYSTEM:
            image = select(origin, top, wanted.platform)
            return (Document(raw=image.raw, content=image.manifest),)
        case Extent.ALL:
            return expand(origin, top)
        case Extent.INDEX_ONLY:
            if not isinstance(top.content, Index):
                raise InvalidManifest(f"{origin.description} is one image, and no index")
            return (top,)


def _judged(wanted: Copy, documents: Sequence[Document], judge: Judge) -> _Accepted:
    """Raises Rejected for the first that the policy does not accept."""
    at, verdicts, carried = wanted.at, [], []
    for document in documents:
        digest = document.raw.digest
        signatures = wanted.signatures(digest)
        if isinstance(document.content, Manifest) or wanted.extent is Extent.INDEX_ONLY:
            verdict = judge.demand(at.origin.description, at.identity, digest, signatures)
            verdicts.append((digest, verdict))
        if signatures and wanted.keep is Signatures.KEEP:
            carried.append((digest, stored_form(signatures)))
    if not verdicts:
        raise InvalidManifest(f"{at.origin.description}: an index of no image at all")
    return _Accepted(
        documents=tuple(documents), verdicts=tuple(verdicts), signatures=tuple(carried)
    )


def _each_once(blobs: Iterable[Descriptor]) -> tuple[Descriptor, ...]:
    return tuple({blob.digest: blob for blob in blobs}.values())


def _typed(document: Document) -> RawManifest:
    return replace(document.raw, content_type=document.content.media_type)
