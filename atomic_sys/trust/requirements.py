# SPDX-License-Identifier: LGPL-2.1-or-later
"""The nouns of a trust policy, as containers-policy.json(5) has them.

Every value is checked where it is parsed; whoever holds one of these holds a valid one.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import ClassVar, assert_never

from atomic_sys.frozen import frozen
from atomic_sys.model.reference import DockerReference
from atomic_sys.model.strict_json import Json


class KeyType(Enum):
    """What kind of key signs. Only GPG_KEYS can be satisfied; the others parse and reject."""

    GPG_KEYS = "GPGKeys"
    SIGNED_BY_GPG_KEYS = "signedByGPGKeys"
    X509_CERTIFICATES = "X509Certificates"
    SIGNED_BY_X509_CAS = "signedByX509CAs"


@dataclass(frozen=True, slots=True)
class KeyPath:
    """One key file."""

    path: str


@dataclass(frozen=True, slots=True)
class KeyPaths:
    """Several key files; any of their keys will do."""

    paths: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class KeyData:
    """A key in the policy itself."""

    data: bytes


@dataclass(frozen=True, slots=True)
class KeyDatas:
    """Several keys in the policy itself; any of them will do."""

    datas: tuple[bytes, ...]


KeySource = KeyPath | KeyPaths | KeyData
SigstoreKeySource = KeySource | KeyDatas


@dataclass(frozen=True, slots=True)
class MatchExact:
    """The signature names the image's very reference."""


@dataclass(frozen=True, slots=True)
class MatchRepoDigestOrExact:
    """As MatchExact; for an image named by digest the repository will do. The default."""


@dataclass(frozen=True, slots=True)
class MatchRepository:
    """The signature names the image's repository, whatever the tag."""


@dataclass(frozen=True, slots=True)
class ExactReference:
    """The signature names this reference, whatever the image's name."""

    reference: DockerReference


@dataclass(frozen=True, slots=True)
class ExactRepository:
    """The signature names this repository, whatever the image's name."""

    repository: DockerReference


@frozen
class RemapIdentity:
    """As MatchRepoDigestOrExact, with the image's `prefix` replaced by `signed_prefix` before."""

    prefix: str
    signed_prefix: str


Identity = (
    MatchExact
    | MatchRepoDigestOrExact
    | MatchRepository
    | ExactReference
    | ExactRepository
    | RemapIdentity
)


def identity_json(identity: Identity) -> dict[str, Json]:
    """The object that says this in a policy."""
    match identity:
        case MatchExact():
            return {"type": "matchExact"}
        case MatchRepoDigestOrExact():
            return {"type": "matchRepoDigestOrExact"}
        case MatchRepository():
            return {"type": "matchRepository"}
        case ExactReference(reference):
            return {"type": "exactReference", "dockerReference": str(reference)}
        case ExactRepository(repository):
            return {"type": "exactRepository", "dockerRepository": str(repository)}
        case RemapIdentity():
            return {
                "type": "remapIdentity",
                "prefix": identity.prefix,
                "signedPrefix": identity.signed_prefix,
            }
        case _ as unreachable:
            assert_never(unreachable)


@dataclass(frozen=True, slots=True)
class InsecureAcceptAnything:
    """Nothing is asked for."""

    kind: ClassVar[str] = "insecureAcceptAnything"


@dataclass(frozen=True, slots=True)
class Reject:
    """Nothing is good enough."""

    kind: ClassVar[str] = "reject"


@frozen
class SignedBy:
    """A simple signature by one of the keys, for a fitting name."""

    kind: ClassVar[str] = "signedBy"
    key_type: KeyType
    keys: KeySource
    identity: Identity


@frozen
class SignedBaseLayer:
    """A signed base layer: part of the format, implemented by nobody; always rejects."""

    kind: ClassVar[str] = "signedBaseLayer"
    identity: Identity


@frozen
class Fulcio:
    """Short-lived certificates that this CA gave to one mail address of one OIDC issuer."""

    ca: KeyPath | KeyData
    oidc_issuer: str
    subject_email: str


@frozen
class Pki:
    """Certificates of a CA of one's own; at least one of the two subjects is given."""

    roots: KeyPath | KeyData
    intermediates: KeyPath | KeyData | None
    subject_email: str | None
    subject_hostname: str | None


@frozen
class SigstoreSigned:
    """A sigstore attachment. `raw` is the object as it stands in the policy."""

    kind: ClassVar[str] = "sigstoreSigned"
    trusted: SigstoreKeySource | Fulcio | Pki
    rekor_keys: SigstoreKeySource | None
    identity: Identity
    raw: Mapping[str, Json]


Requirement = InsecureAcceptAnything | Reject | SignedBy | SignedBaseLayer | SigstoreSigned
Requirements = tuple[Requirement, ...]


@frozen
class Policy:
    """Requirements by transport and scope; `source` says where the policy was read."""

    source: str
    default: Requirements
    transports: Mapping[str, Mapping[str, Requirements]]
