# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a signature says: the JSON that is signed (containers-signature(5)).

Simple signing and sigstore share the document; only its type differs, and that cosign writes null
where a signer has nothing optional to say.
"""

import json
import time
from collections.abc import Mapping
from enum import Enum

from atomic_sys.frozen import frozen
from atomic_sys.model.digest import Digest, InvalidDigest
from atomic_sys.model.strict_json import InvalidJson, Json, as_object, loads
from atomic_sys.trust.fields import Fields, text

_WHAT = "signed content"


class PayloadType(Enum):
    """Which kind of signature the document is for; one is never taken for the other."""

    SIMPLE = "atomic container signature"
    SIGSTORE = "cosign container image signature"


class InvalidPayload(InvalidJson):
    """Signed content that is not what a signature of an image must say."""


@frozen
class Payload:
    """The claim: this manifest has this name. `creator` and `timestamp` (s, Unix) prove nothing."""

    manifest_digest: Digest
    docker_reference: str
    creator: str | None
    timestamp: int | None


def parse(document: bytes, kind: PayloadType) -> Payload:
    """Read the signed content.

    The name stays a string here; trust.identity judges it. Raises InvalidPayload.
    """
    try:
        top = Fields.of(loads(document, _WHAT), f"{_WHAT}: $", required=("critical", "optional"))
        critical = _below(top, "critical", ("type", "image", "identity"))
        if critical.text("type") != kind.value:
            raise InvalidJson(f"{critical.at('type')} is not {kind.value!r}")
        image = _below(critical, "image", ("docker-manifest-digest",))
        identity = _below(critical, "identity", ("docker-reference",))
        optional = _optional(top, kind)
        creator, timestamp = optional.get("creator"), optional.get("timestamp")
        return Payload(
            manifest_digest=Digest.parse(image.text("docker-manifest-digest")),
            docker_reference=identity.text("docker-reference"),
            creator=text(creator, "creator") if "creator" in optional else None,
            timestamp=_timestamp(timestamp) if "timestamp" in optional else None,
        )
    except (InvalidJson, InvalidDigest) as error:
        raise InvalidPayload(str(error)) from None


def build(kind: PayloadType, manifest_digest: Digest, name: str, creator: str) -> bytes:
    """The content to be signed, as of now; `name` is the reference that the signature is for."""
    return json.dumps({
        "critical": {
            "type": kind.value,
            "image": {"docker-manifest-digest": str(manifest_digest)},
            "identity": {"docker-reference": name},
        },
        "optional": {"creator": creator, "timestamp": int(time.time())},
    }).encode()


def _below(parent: Fields, key: str, required: tuple[str, ...]) -> Fields:
    return Fields.of(parent.values[key], parent.at(key), required=required)


def _optional(top: Fields, kind: PayloadType) -> Mapping[str, Json]:
    value = top.values["optional"]
    if value is None and kind is PayloadType.SIGSTORE:
        return {}
    return as_object(value, top.at("optional"))


def _timestamp(value: Json) -> int:
    """A whole number of seconds, however it is written, that fits 64 bits."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidJson(f"{_WHAT}: timestamp is not a number")
    if isinstance(value, float) and not value.is_integer():
        raise InvalidJson(f"{_WHAT}: timestamp is not a whole number")
    if not -(1 << 63) <= value < 1 << 63:
        raise InvalidJson(f"{_WHAT}: timestamp is out of range")
    return int(value)
