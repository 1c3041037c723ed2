# SPDX-License-Identifier: LGPL-2.1-or-later
"""Whether an image may be used: pure, but for the verifier and the reader of keys handed in.

All requirements must accept; one requirement accepts when any signature satisfies it. All of them
are looked at, also after the first that denies, so that a verdict names everything that is wrong.
Source: containers-policy.json(5).
"""

from datetime import UTC, datetime
from typing import assert_never

from atomic_sys.frozen import frozen
from atomic_sys.model.digest import Digest
from atomic_sys.trust.framing import SignatureBlob, SigstoreAttachment, SimpleSignature
from atomic_sys.trust.identity import matches
from atomic_sys.trust.key_sources import KeyReader, UnusableKeys, describe, read_keys
from atomic_sys.trust.payload import InvalidPayload, Payload, PayloadType, parse
from atomic_sys.trust.requirements import (
    Identity,
    InsecureAcceptAnything,
    KeyType,
    Reject,
    Requirement,
    SignedBaseLayer,
    SignedBy,
    SigstoreSigned,
)
from atomic_sys.trust.scopes import ImageIdentity, Selection
from atomic_sys.trust.verdict import Cause, RequirementVerdict, SignatureVerdict, Verdict
from atomic_sys.trust.verifier import Keyring, Outcome, Refused, Signed, Verifier


@frozen
class ImageUnderJudgement:
    """What is known of the image: its name, the digest of its manifest, its signatures."""

    identity: ImageIdentity
    manifest_digest: Digest
    signatures: tuple[SignatureBlob, ...]


def judge(
    selection: Selection, image: ImageUnderJudgement, key_reader: KeyReader, verifier: Verifier
) -> Verdict:
    """Judge the image by the requirements that apply to it.

    `key_reader` reads a key file, and raises OSError or AtomicSysError where it cannot: then the
    requirement is not met. Raises AtomicSysError when the verifier does not work.
    """
    reference = image.identity.reference
    return Verdict(
        source=selection.source,
        transport=selection.transport,
        scope=selection.scope,
        reference=None if reference is None else str(reference),
        digest=image.manifest_digest,
        requirements=tuple(
            _judge_requirement(requirement, image, key_reader, verifier)
            for requirement in selection.requirements
        ),
    )


def _judge_requirement(
    requirement: Requirement,
    image: ImageUnderJudgement,
    key_reader: KeyReader,
    verifier: Verifier,
) -> RequirementVerdict:
    match requirement:
        case InsecureAcceptAnything():
            return RequirementVerdict.accept(requirement.kind, "everything is accepted")
        case Reject():
            return RequirementVerdict.deny(
                requirement.kind, Cause.POLICY, "everything is rejected here"
            )
        case SignedBaseLayer():
            return RequirementVerdict.deny(
                requirement.kind, Cause.UNSUPPORTED, "signed base layers are not supported"
            )
        case SigstoreSigned():
            return _judge_sigstore_signed(requirement, image, key_reader)
        case SignedBy(key_type=KeyType.GPG_KEYS):
            return _judge_signed_by(requirement, image, key_reader, verifier)
        case SignedBy():
            reason = f"keys of type {requirement.key_type.value} are not supported"
            return RequirementVerdict.deny(requirement.kind, Cause.UNSUPPORTED, reason)
        case _ as unreachable:
            assert_never(unreachable)


def _judge_signed_by(
    requirement: SignedBy,
    image: ImageUnderJudgement,
    key_reader: KeyReader,
    verifier: Verifier,
) -> RequirementVerdict:
    """Keys first: a key file that is missing is worth a word also where no signature is."""
    kind = requirement.kind
    try:
        keys = tuple(key for _, key in read_keys(requirement.keys, key_reader))
    except UnusableKeys as error:
        return RequirementVerdict.deny(kind, Cause.KEYS, str(error))
    with verifier.keyring(keys) as keyring:
        if not keyring.keys:
            reason = f"no public keys in {describe(requirement.keys)}"
            return RequirementVerdict.deny(kind, Cause.KEYS, reason)
        candidates = tuple(
            _judge_simple(signature, requirement, image, keyring)
            for signature in image.signatures
            if isinstance(signature, SimpleSignature)
        )
        others = len(image.signatures) - len(candidates)
        return RequirementVerdict.of_candidates(kind, keyring.keys, candidates, others=others)


def _judge_sigstore_signed(
    requirement: SigstoreSigned, image: ImageUnderJudgement, key_reader: KeyReader
) -> RequirementVerdict:
    """As above; attachments that are no signatures, such as attestations, do not count."""
    # This imports `cryptography`, which few policies need.
    from atomic_sys.trust import sigstore

    kind = requirement.kind
    try:
        root = sigstore.load_trust_root(requirement, key_reader)
    except UnusableKeys as error:
        return RequirementVerdict.deny(kind, Cause.KEYS, str(error))
    now = datetime.now(UTC)
    candidates = tuple(
        _judge_outcome(
            signature.source,
            root.verify(signature, now),
            PayloadType.SIGSTORE,
            requirement.identity,
            image,
        )
        for signature in image.signatures
        if isinstance(signature, SigstoreAttachment) and signature.mime == sigstore.MIME
    )
    others = len(image.signatures) - len(candidates)
    return RequirementVerdict.of_candidates(kind, root.keys, candidates, others=others)


def _judge_simple(
    signature: SimpleSignature,
    requirement: SignedBy,
    image: ImageUnderJudgement,
    keyring: Keyring,
) -> SignatureVerdict:
    """Whatever the verifier says, the key must be one of the requirement's."""
    outcome = keyring.verify(signature.message)
    trusted = [key.fingerprint for key in keyring.keys]
    if isinstance(outcome, Signed) and outcome.fingerprint not in trusted:
        outcome = Refused(f"signed by the unknown key {outcome.fingerprint}")
    return _judge_outcome(
        signature.source, outcome, PayloadType.SIMPLE, requirement.identity, image
    )


def _judge_outcome(
    source: str,
    outcome: Outcome,
    kind: PayloadType,
    identity: Identity,
    image: ImageUnderJudgement,
) -> SignatureVerdict:
    """The signer first, then what is signed: only then is the content looked at at all."""
    if isinstance(outcome, Refused):
        return SignatureVerdict(source=source, reason=outcome.reason)
    try:
        payload = parse(outcome.content, kind)
    except InvalidPayload as error:
        return SignatureVerdict(
            source=source, signer=outcome.fingerprint, user=outcome.user, reason=str(error)
        )
    return SignatureVerdict(
        source=source,
        signer=outcome.fingerprint,
        user=outcome.user,
        identity=payload.docker_reference,
        reason=_objection(payload, identity, image),
    )


def _objection(payload: Payload, identity: Identity, image: ImageUnderJudgement) -> str | None:
    """Why a good signature is none for this image, or None when it is."""
    if payload.manifest_digest != image.manifest_digest:
        return f"signed is {payload.manifest_digest}, not {image.manifest_digest}"
    reference = image.identity.reference
    if not matches(identity, reference, payload.docker_reference):
        wanted = "an image without a name" if reference is None else str(reference)
        return f"signed as {payload.docker_reference}, which does not fit {wanted}"
    return None
