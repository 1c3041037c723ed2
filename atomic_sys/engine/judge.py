# SPDX-License-Identifier: LGPL-2.1-or-later
"""Policy, signatures and keys together: asked before a layer byte is fetched, and again later."""

from collections.abc import Callable
from dataclasses import dataclass

from atomic_sys.model.digest import Digest
from atomic_sys.trust.files import LoadedPolicy
from atomic_sys.trust.framing import SignatureBlob, SimpleSignature, unframe
from atomic_sys.trust.judge import ImageUnderJudgement, judge
from atomic_sys.trust.lookaside import LookasideConfig
from atomic_sys.trust.scopes import ImageIdentity, select
from atomic_sys.trust.signatures import Get, read_directory_signatures, read_signatures
from atomic_sys.trust.verdict import Verdict, rejection
from atomic_sys.trust.verifier import Verifier


@dataclass(frozen=True, slots=True, kw_only=True)
class Judge:
    """Today's policy, and where signatures and keys are found."""

    policy: LoadedPolicy
    lookaside: LookasideConfig
    get: Get
    read_key: Callable[[str], bytes]
    verifier: Verifier

    def signatures(self, place: ImageIdentity, digest: Digest) -> tuple[SignatureBlob, ...]:
        """All signatures of the manifest that are stored for the place it is fetched from.

        Raises AtomicSysError when they cannot be read: that is no proof that there are none.
        """
        if place.transport == "dir":
            return read_directory_signatures(place.scopes[0], digest)
        return read_signatures(place, digest, self.lookaside, self.get)

    def verdict(
        self, identity: ImageIdentity, digest: Digest, signatures: tuple[SignatureBlob, ...]
    ) -> Verdict:
        """What the policy says of this image. Raises AtomicSysError when gpg does not work."""
        selection = select(self.policy.policy, identity)
        image = ImageUnderJudgement(
            identity=identity, manifest_digest=digest, signatures=signatures
        )
        return judge(selection, image, self.read_key, self.verifier)

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
    """The signatures as the store keeps them: the OpenPGP messages, as the predecessor did."""
    return tuple(s.message for s in signatures if isinstance(s, SimpleSignature))


def from_store(stored: tuple[bytes, ...]) -> tuple[SignatureBlob, ...]:
    """The signatures that the store keeps. Raises InvalidSignature."""
    return tuple(
        unframe(blob, f"signature-{number} in the store") for number, blob in enumerate(stored, 1)
    )
