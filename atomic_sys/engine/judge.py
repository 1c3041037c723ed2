# SPDX-License-Identifier: LGPL-2.1-or-later
"""Policy, signatures and keys together: asked before a layer byte is fetched, and again later."""

from collections.abc import Callable
from typing import Protocol, runtime_checkable

from atomic_sys.engine.attachments import TaggedOrigin, read_attachments
from atomic_sys.frozen import frozen
from atomic_sys.image.origin import Origin
from atomic_sys.model.digest import Digest
from atomic_sys.model.reference import DockerReference
from atomic_sys.trust.explain import rejection
from atomic_sys.trust.extension import parse_signatures
from atomic_sys.trust.files import LoadedPolicy
from atomic_sys.trust.framing import SignatureBlob, frame, unframe
from atomic_sys.trust.judge import ImageUnderJudgement, judge
from atomic_sys.trust.lookaside import LookasideConfig, uses_attachments
from atomic_sys.trust.scopes import ImageIdentity, docker_identity, select
from atomic_sys.trust.signatures import Get, read_directory_signatures, read_signatures
from atomic_sys.trust.verdict import Verdict
from atomic_sys.trust.verifier import Verifier


@runtime_checkable
class SigningOrigin(TaggedOrigin, Protocol):
    """An origin that may keep simple signatures itself."""

    @property
    def fetched_from(self) -> DockerReference:
        """Where the manifest came from, and its signatures are looked up."""

    def signatures(self, digest: Digest) -> tuple[str, bytes] | None:
        """Its list of them and where that is, or None where it keeps none."""


@frozen
class Judge:
    """Today's policy, and where signatures and keys are found."""

    policy: LoadedPolicy
    lookaside: LookasideConfig
    get: Get
    read_key: Callable[[str], bytes]
    verifier: Verifier
    require_signed: bool = False  # also where the policy asks for none

    def signatures(
        self, place: ImageIdentity, digest: Digest, origin: Origin | None = None
    ) -> tuple[SignatureBlob, ...]:
        """All signatures of the manifest that are stored for the place it is fetched from.

        Of a registry: those of its API extension where it has that, else those of the lookaside
        store; and sigstore attachments where registries.d says that they are used. What came from a
        mirror has its signatures there. Without the origin, the registry itself is not asked.
        Raises AtomicSysError when they cannot be read: that is no proof that there are none.
        """
        if place.transport == "dir":
            return read_directory_signatures(place.scopes[0], digest)
        keeper: object = origin
        match keeper:
            case SigningOrigin():  # a registry
                here = docker_identity(keeper.fetched_from)
                simple = self._from_registry(keeper, here, digest)
                if uses_attachments(self.lookaside, here):
                    return (*simple, *read_attachments(keeper, digest))
                return simple
            case TaggedOrigin():  # a layout
                return read_attachments(keeper, digest)
            case _:
                return read_signatures(place, digest, self.lookaside, self.get)

    def _from_registry(
        self, origin: SigningOrigin, place: ImageIdentity, digest: Digest
    ) -> tuple[SignatureBlob, ...]:
        listed = origin.signatures(digest)
        if listed is None:
            return read_signatures(place, digest, self.lookaside, self.get)
        source, document = listed
        return parse_signatures(document, source)

    def verdict(
        self, identity: ImageIdentity, digest: Digest, signatures: tuple[SignatureBlob, ...]
    ) -> Verdict:
        """What the policy says of this image. Raises AtomicSysError when gpg does not work."""
        selection = select(self.policy.policy, identity)
        image = ImageUnderJudgement(
            identity=identity, manifest_digest=digest, signatures=signatures
        )
        verdict = judge(selection, image, self.read_key, self.verifier)
        if self.require_signed and verdict.accepted and not verdict.signers():
            return verdict.without_signature()
        return verdict

    def demand(
        self,
        image: str,
        identity: ImageIdentity,
        digest: Digest,
        signatures: tuple[SignatureBlob, ...],
    ) -> Verdict:
        """The verdict, if it accepts. Raises Rejected otherwise; `image` is as it was typed."""
        verdict = self.verdict(identity, digest, signatures)
        if not verdict.accepted:
            raise rejection(verdict, image)
        return verdict


def stored_form(signatures: tuple[SignatureBlob, ...]) -> tuple[bytes, ...]:
    """The signatures as the store keeps them: OpenPGP messages plain, as the predecessor did.

    Sigstore attachments are framed as in a `dir:` image.
    """
    return tuple(frame(signature) for signature in signatures)


def from_store(stored: tuple[bytes, ...]) -> tuple[SignatureBlob, ...]:
    """The signatures that the store keeps. Raises InvalidSignature."""
    return tuple(
        unframe(blob, f"signature-{number} in the store") for number, blob in enumerate(stored, 1)
    )
