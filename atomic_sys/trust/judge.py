# SPDX-License-Identifier: LGPL-2.1-or-later
"""Whether an image may be used: pure, but for the verifier and the reader of keys handed in.

All requirements must accept; one requirement accepts when any signature satisfies it. All of them
are looked at, also after the first that denies, so that a verdict names everything that is wrong.
Source: containers-policy.json(5).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import assert_never

from atomic_sys.errors import AtomicSysError
from atomic_sys.model.digest import Digest
from atomic_sys.trust.framing import SignatureBlob, SigstoreAttachment, SimpleSignature
from atomic_sys.trust.identity import matches
from atomic_sys.trust.payload import InvalidPayload, Payload, parse
from atomic_sys.trust.verdict import Cause, RequirementVerdict, SignatureVerdict, Verdict
from atomic_sys.trust.requirements import (
    InsecureAcceptAnything,
    KeyData,
    KeyPath,
    KeyPaths,
    KeySource,
    KeyType,
    Reject,
    Requirement,
    SignedBaseLayer,
    SignedBy,
    SigstoreSigned,
)
from atomic_sys.trust.scopes import ImageIdentity, Selection
from atomic_sys.trust.verifier import Keyring, Refused, Verifier

KeyReader = Callable[[str], bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageUnderJudgement:
    """What is known of the image: its name, the digest of its manifest, its signatures."""

    identity: ImageIdentity
    manifest_digest: Digest
    signatures: tuple[SignatureBlob, ...]


class _UnusableKeys(Exception):
    """The keys of a requirement cannot be had."""


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
            return RequirementVerdict.deny(
                requirement.kind,
                Cause.UNSUPPORTED,
                "sigstore signatures are not supported yet",
            )
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
        keys = _read_keys(requirement.keys, key_reader)
    except _UnusableKeys as error:
        return RequirementVerdict.deny(kind, Cause.KEYS, str(error))
    with verifier.keyring(keys) as keyring:
        if not keyring.fingerprints:
            reason = f"no public keys in {_describe(requirement.keys)}"
            return RequirementVerdict.deny(kind, Cause.KEYS, reason)
        candidates = tuple(
            _judge_signature(signature, requirement, image, keyring)
            for signature in image.signatures
            if isinstance(signature, SimpleSignature)
        )
        return RequirementVerdict.of_candidates(
            kind, keyring.fingerprints, candidates, others=_others(image.signatures)
        )


def _others(signatures: tuple[SignatureBlob, ...]) -> int:
    return sum(isinstance(signature, SigstoreAttachment) for signature in signatures)


def _read_keys(source: KeySource, key_reader: KeyReader) -> tuple[bytes, ...]:
    match source:
        case KeyData(data):
            return (data,)
        case KeyPath(path):
            return (_read_key(path, key_reader),)
        case KeyPaths(paths):
            return tuple(_read_key(path, key_reader) for path in paths)
        case _ as unreachable:
            assert_never(unreachable)


def _read_key(path: str, key_reader: KeyReader) -> bytes:
    try:
        return key_reader(path)
    except OSError as error:
        raise _UnusableKeys(f"cannot read the key file {path}: {error.strerror}") from None
    except AtomicSysError as error:
        raise _UnusableKeys(f"cannot read the key file {path}: {error}") from None


def _describe(source: KeySource) -> str:
    match source:
        case KeyData():
            return "keyData"
        case KeyPath(path):
            return path
        case KeyPaths(paths):
            return ", ".join(paths) or "an empty list of key files"
        case _ as unreachable:
            assert_never(unreachable)


def _judge_signature(
    signature: SimpleSignature,
    requirement: SignedBy,
    image: ImageUnderJudgement,
    keyring: Keyring,
) -> SignatureVerdict:
    """The signer first, then what is signed: only then is the content looked at at all."""
    outcome = keyring.verify(signature.message)
    if isinstance(outcome, Refused):
        return SignatureVerdict(source=signature.source, reason=outcome.reason)
    if outcome.fingerprint not in keyring.fingerprints:
        reason = f"signed by the unknown key {outcome.fingerprint}"
        return SignatureVerdict(source=signature.source, reason=reason)
    try:
        payload = parse(outcome.content)
    except InvalidPayload as error:
        return SignatureVerdict(
            source=signature.source,
            signer=outcome.fingerprint,
            user=outcome.user,
            reason=str(error),
        )
    return SignatureVerdict(
        source=signature.source,
        signer=outcome.fingerprint,
        user=outcome.user,
        identity=payload.docker_reference,
        reason=_objection(payload, requirement, image),
    )


def _objection(payload: Payload, requirement: SignedBy, image: ImageUnderJudgement) -> str | None:
    """Why a good signature is none for this image, or None when it is."""
    if payload.manifest_digest != image.manifest_digest:
        return f"signed is {payload.manifest_digest}, not {image.manifest_digest}"
    reference = image.identity.reference
    if not matches(requirement.identity, reference, payload.docker_reference):
        wanted = "an image without a name" if reference is None else str(reference)
        return f"signed as {payload.docker_reference}, which does not fit {wanted}"
    return None
