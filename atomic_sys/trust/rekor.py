# SPDX-License-Identifier: LGPL-2.1-or-later
"""Whether the transparency log Rekor promised, with its own signature, to have logged a signature.

The promise, a SignedEntryTimestamp, counts only for the entry that it came with, and the entry only
for the very payload, signature and key at hand: a promise for something else is worth nothing
(CVE-2022-36056, CVE-2026-22703). All of it is done offline. Sources: rekor's hashedrekord 0.0.1;
the canonical form of JSON is RFC 8785.
"""

import hashlib
import json
from collections.abc import Sequence

from atomic_sys.errors import AtomicSysError
from atomic_sys.frozen import frozen
from atomic_sys.model.strict_json import InvalidJson, Json, as_integer, as_object, as_string, loads
from atomic_sys.trust import pem
from atomic_sys.trust.fields import Fields, base64_bytes
from atomic_sys.trust.public_key import PublicKey

_MAX_INTEGER = 1 << 53  # what RFC 8785 can write without losing digits
_WHAT = "the log entry"


class NotLogged(AtomicSysError):
    """No proof that the log has this signature."""


@frozen
class Claim:
    """What must have been logged; `key` is the DER encoding of the public key or certificate."""

    payload: bytes
    signature: bytes
    key: bytes


def logged_at(bundle: str, log_keys: Sequence[PublicKey], claim: Claim) -> int:
    """When the log took the entry (seconds, Unix).

    `bundle` is the annotation `dev.sigstore.cosign/bundle`. Raises NotLogged unless one of the
    log's keys signed the entry, and the entry is about this claim.
    """
    try:
        entry = _signed_entry(bundle, log_keys)
        _check(_body(entry), claim)
        return as_integer(entry["integratedTime"], "integratedTime")
    except (InvalidJson, pem.InvalidPem) as error:
        raise NotLogged(str(error)) from None


def _signed_entry(bundle: str, log_keys: Sequence[PublicKey]) -> dict[str, Json]:
    what = "the log's promise"
    top = Fields.of(
        loads(bundle.encode("utf-8", "surrogatepass"), what),
        f"{what}: $",
        required=("SignedEntryTimestamp", "Payload"),
    )
    promise = base64_bytes(top.values["SignedEntryTimestamp"], top.at("SignedEntryTimestamp"))
    entry = Fields.of(
        top.values["Payload"],
        top.at("Payload"),
        required=("body", "integratedTime", "logIndex", "logID"),
    )
    values: dict[str, Json] = {key: entry.text(key) for key in ("body", "logID")}
    for key in ("integratedTime", "logIndex"):
        number = as_integer(entry.values[key], entry.at(key))
        if not 0 <= number <= _MAX_INTEGER:
            raise InvalidJson(f"{entry.at(key)} is out of range")
        values[key] = number
    canonical = json.dumps(values, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    if not any(key.made(promise, canonical.encode()) for key in log_keys):
        raise NotLogged("the log's promise is not signed by a trusted log")
    return values


def _body(entry: dict[str, Json]) -> dict[str, Json]:
    document = as_object(loads(base64_bytes(entry["body"], _WHAT), _WHAT), _WHAT)
    if document.get("kind") != "hashedrekord" or document.get("apiVersion") != "0.0.1":
        raise InvalidJson(f"{_WHAT} is not a hashedrekord of version 0.0.1")
    return dict(as_object(document.get("spec"), f"{_WHAT}: spec"))


def _check(spec: dict[str, Json], claim: Claim) -> None:
    """Payload, signature and key, each on its own."""
    signature = as_object(spec.get("signature"), f"{_WHAT}: signature")
    key = as_object(signature.get("publicKey"), f"{_WHAT}: publicKey")
    logged_key = pem.block(base64_bytes(key.get("content"), f"{_WHAT}: publicKey"), _WHAT)
    if logged_key.content != claim.key:
        raise NotLogged(f"{_WHAT} is of another key or certificate")
    if base64_bytes(signature.get("content"), f"{_WHAT}: signature") != claim.signature:
        raise NotLogged(f"{_WHAT} is of another signature")
    digest = as_object(as_object(spec.get("data"), f"{_WHAT}: data").get("hash"), f"{_WHAT}: hash")
    if digest.get("algorithm") != "sha256":
        raise NotLogged(f"{_WHAT} has a hash of an unsupported algorithm")
    value = as_string(digest.get("value"), f"{_WHAT}: hash value")
    if value.lower() != hashlib.sha256(claim.payload).hexdigest():
        raise NotLogged(f"{_WHAT} is of other content")
