# SPDX-License-Identifier: LGPL-2.1-or-later
"""A verdict, as a value that explains itself.

To a program as JSON, to a human in five lines; as an error by trust.explain.
"""

from dataclasses import replace
from enum import Enum
from typing import Self

from atomic_sys.frozen import frozen
from atomic_sys.model.digest import Digest
from atomic_sys.model.reference import DockerReference
from atomic_sys.model.strict_json import Json
from atomic_sys.trust.verifier import TrustedKey

_MAX_LINES = 5


class Cause(Enum):
    """What kind of thing is wrong; trust.explain says what the user can do about it."""

    POLICY = "policy"
    KEYS = "keys"
    UNSIGNED = "unsigned"
    SIGNATURES = "signatures"
    UNSUPPORTED = "unsupported"


@frozen
class SignatureVerdict:
    """One signature before one requirement; `reason` is None for one that satisfies it.

    `signer` (fingerprint) and `user` are known once the signature itself is good; `identity` is
    the name that it speaks of.
    """

    source: str
    signer: str | None = None
    user: str | None = None
    identity: str | None = None
    reason: str | None

    @property
    def accepted(self) -> bool:
        """Whether it satisfies the requirement."""
        return self.reason is None

    def as_json(self) -> Json:
        """The entry of the contract, section 5."""
        return {
            "source": self.source,
            "accepted": self.accepted,
            "signer": self.signer,
            "user": self.user,
            "identity": self.identity,
            "reason": self.reason or "",
        }


@frozen
class RequirementVerdict:
    """One requirement; `cause` is None for one that is met. `keys` are those it believes."""

    kind: str
    cause: Cause | None
    reason: str
    keys: tuple[TrustedKey, ...] = ()
    signatures: tuple[SignatureVerdict, ...] = ()

    @classmethod
    def accept(cls, kind: str, reason: str) -> Self:
        """A requirement that is met without any signature."""
        return cls(kind=kind, cause=None, reason=reason)

    @classmethod
    def deny(cls, kind: str, cause: Cause, reason: str) -> Self:
        """A requirement that no signature could meet."""
        return cls(kind=kind, cause=cause, reason=reason)

    @classmethod
    def of_candidates(
        cls,
        kind: str,
        keys: tuple[TrustedKey, ...],
        signatures: tuple[SignatureVerdict, ...],
        *,
        others: int,
    ) -> Self:
        """A requirement that any of the signatures meets, or none.

        `others` is the number of signatures of another kind, which do not count.
        """
        cause: Cause | None = Cause.SIGNATURES
        if accepted := [signature for signature in signatures if signature.accepted]:
            first = accepted[0]
            cause, reason = None, f"signed by {first.user} ({first.signer}) as {first.identity}"
        elif signatures:
            reason = "; ".join(dict.fromkeys(str(signature.reason) for signature in signatures))
        else:
            cause, reason = Cause.UNSIGNED, "a signature is required, but there is none"
            if others:
                reason += f" of this kind ({others} of another kind)"
        return cls(kind=kind, cause=cause, reason=reason, keys=keys, signatures=signatures)

    @property
    def accepted(self) -> bool:
        """Whether it is met."""
        return self.cause is None

    def as_json(self) -> Json:
        """The entry of the contract, section 5."""
        return {
            "type": self.kind,
            "accepted": self.accepted,
            "reason": self.reason,
            "keys": [key.fingerprint for key in self.keys],
            "owners": [key.owner for key in self.keys],
            "signatures": [signature.as_json() for signature in self.signatures],
        }

    def __str__(self) -> str:
        return f"{self.kind}: {'accepted' if self.accepted else 'rejected'}: {self.reason}"


@frozen
class Verdict:
    """The requirements that were applied, and where they stand; see trust.scopes.Selection."""

    source: str
    transport: str | None
    scope: str | None
    reference: str | None
    digest: Digest
    requirements: tuple[RequirementVerdict, ...]

    @property
    def accepted(self) -> bool:
        """Whether all requirements are met, and there is at least one."""
        return bool(self.requirements) and all(one.accepted for one in self.requirements)

    @property
    def place(self) -> str:
        """Where in the policy the requirements stand, in words."""
        if self.transport is None:
            return "the default of the policy"
        if not self.scope:
            return f"the default of the transport {self.transport}"
        return f"the scope {self.scope} of the transport {self.transport}"

    @property
    def docker_repository(self) -> str | None:
        """The name without tag and digest; None for an image that has none."""
        if self.reference is None:
            return None
        return DockerReference.parse(self.reference).name

    def as_json(self, image: str) -> Json:
        """The document of the contract, section 5; `image` is what the user typed."""
        return {
            "image": image,
            "reference": self.reference,
            "digest": str(self.digest),
            "accepted": self.accepted,
            "policy": self.source,
            "transport": self.transport,
            "scope": self.scope,
            "requirements": [requirement.as_json() for requirement in self.requirements],
        }

    def explain(self) -> tuple[str, ...]:
        """At most five lines for a human: the outcome, the place, the requirements."""
        head = (
            f"{'accepted' if self.accepted else 'rejected'} by {self.source}",
            f"by {self.place}",
        )
        # What denies comes first, since the rest may not fit.
        lines = [str(one) for one in sorted(self.requirements, key=lambda one: one.accepted)]
        room = _MAX_LINES - len(head)
        if len(lines) > room:
            left_out = len(lines) - room + 1
            lines[room - 1 :] = [f"and {left_out} more requirements"]
        return (*head, *lines)

    def without_signature(self) -> "Verdict":
        """The same, rejected since no signature was asked for: `--require-signed`."""
        denied = RequirementVerdict.deny(
            "--require-signed", Cause.POLICY, "the policy asks for no signature of this image"
        )
        return replace(self, requirements=(*self.requirements, denied))

    def signers(self) -> tuple[str, ...]:
        """`USER (FINGERPRINT)` of everyone whose signature was accepted, each once."""
        return tuple(
            dict.fromkeys(
                f"{signature.user} ({signature.signer})"
                for requirement in self.requirements
                for signature in requirement.signatures
                if signature.accepted
            )
        )
