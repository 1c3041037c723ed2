# SPDX-License-Identifier: LGPL-2.1-or-later
"""Sign the manifests of an image, and put the signatures where hosts will look for them.

What is signed are the bytes that were fetched, by their digest. Of an index, the index itself and
instances: hosts judge the instance that they use, other tools may judge the index.
"""

from collections.abc import Iterator
from typing import Protocol

from atomic_sys.engine.signature_places import SignaturePlaces, SignedManifest
from atomic_sys.frozen import frozen
from atomic_sys.image.origin import Origin
from atomic_sys.image.resolve import resolve
from atomic_sys.model import manifest as documents
from atomic_sys.model.digest import Digest
from atomic_sys.model.manifest import Index
from atomic_sys.model.platform import Platform
from atomic_sys.model.reference import DockerReference
from atomic_sys.trust import payload
from atomic_sys.trust.framing import SignatureBlob, SigstoreAttachment, SimpleSignature
from atomic_sys.trust.payload import PayloadType


class SimpleSigner(Protocol):
    """Makes simple signatures."""

    def sign(self, payload: bytes) -> SimpleSignature:
        """The signed message with this content. Raises AtomicSysError."""


class AttachmentSigner(Protocol):
    """Makes sigstore attachments."""

    def sign(self, payload: bytes) -> SigstoreAttachment:
        """The attachment with the signature of this content. Raises AtomicSysError."""


@frozen
class Signing:
    """Who signs, and under which name.

    `every_instance` signs all instances of an index, not only the one for this host.
    """

    simple: tuple[SimpleSigner, ...]
    sigstore: tuple[AttachmentSigner, ...]
    name: DockerReference
    every_instance: bool
    creator: str


def sign(
    origin: Origin, platform: Platform, signing: Signing, places: SignaturePlaces
) -> Iterator[str]:
    """Sign the image; yields where each signature was written.

    All signatures are made before the first one is written. Raises AtomicSysError.
    """
    every = signing.every_instance
    digests = tuple(_every(origin) if every else _chosen(origin, platform))
    made = [(digest, _sign(digest, signing)) for digest in digests]
    for number, (digest, signatures) in enumerate(made):
        target = SignedManifest(digest=digest, is_instance=number > 0)
        yield from places.write(target, signatures)


def _chosen(origin: Origin, platform: Platform) -> Iterator[Digest]:
    resolved = resolve(origin, platform)
    if resolved.index is not None:
        yield resolved.index.digest
    yield resolved.raw.digest


def _every(origin: Origin) -> Iterator[Digest]:
    raw = origin.manifest(None)
    yield raw.digest
    document = documents.parse(raw.raw, content_type=raw.content_type)
    if isinstance(document, Index):
        # Each is fetched: a signature for what cannot be had would be for nobody.
        yield from dict.fromkeys(origin.manifest(e.digest).digest for e in document.manifests)


def _sign(digest: Digest, signing: Signing) -> tuple[SignatureBlob, ...]:
    made: list[SignatureBlob] = []
    name = str(signing.name)
    if signing.simple:
        content = payload.build(PayloadType.SIMPLE, digest, name, signing.creator)
        made.extend(signer.sign(content) for signer in signing.simple)
    if signing.sigstore:
        content = payload.build(PayloadType.SIGSTORE, digest, name, signing.creator)
        made.extend(signer.sign(content) for signer in signing.sigstore)
    return tuple(made)
