# SPDX-License-Identifier: LGPL-2.1-or-later
"""policy.json, bytes to Policy: strict everywhere, and one mistake makes the whole file invalid.

Source: containers-policy.json(5). Stricter than the other readers of the format in three points:
text must be UTF-8 without half surrogate pairs, `null` is no string, and the prefixes of a
remapIdentity must name a host, since one that does not can never match.
"""

import re

from atomic_sys.model.reference import DockerReference, InvalidReference
from atomic_sys.model.strict_json import InvalidJson, Json, as_array, as_object, loads
from atomic_sys.trust.fields import Fields, base64_bytes, step, text, texts
from atomic_sys.trust.requirements import (
    ExactReference,
    ExactRepository,
    Identity,
    InsecureAcceptAnything,
    KeyData,
    KeyPath,
    KeyPaths,
    KeySource,
    KeyType,
    MatchExact,
    MatchRepoDigestOrExact,
    MatchRepository,
    Policy,
    Reject,
    RemapIdentity,
    Requirement,
    Requirements,
    SignedBaseLayer,
    SignedBy,
)
from atomic_sys.trust.scopes import scope_problem
from atomic_sys.trust.sigstore_policy import OPTIONAL_KEYS, sigstore_signed

POLICY_LIMIT = 4 << 20  # bytes
_LABEL = r"[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?"
_PREFIX_HOST = re.compile(rf"(?:{_LABEL}(?:\.{_LABEL})*|\[[a-fA-F0-9:]+\])(?::[0-9]+)?")
_SIMPLE_IDENTITIES: dict[str, Identity] = {
    "matchExact": MatchExact(),
    "matchRepoDigestOrExact": MatchRepoDigestOrExact(),
    "matchRepository": MatchRepository(),
}
_KEY_SOURCES = ("keyPath", "keyPaths", "keyData")


class InvalidPolicy(InvalidJson):
    """A file that is no policy; nothing in it is believed."""


def parse(document: bytes, what: str) -> Policy:
    """Read a policy; `what` names it, in errors and in verdicts.

    Raises InvalidPolicy, which says where the mistake is.
    """
    try:
        fields = Fields.of(
            loads(document, what), f"{what}: $", required=("default",), optional=("transports",)
        )
        default = _requirements(fields.values["default"], fields.at("default"))
        transports = as_object(fields.values.get("transports", {}), fields.at("transports"))
        return Policy(
            source=what,
            default=default,
            transports={
                name: _scopes(name, value, step(fields.at("transports"), name))
                for name, value in transports.items()
            },
        )
    except InvalidJson as error:
        raise InvalidPolicy(
            str(error), hint="one mistake makes the whole policy invalid; nothing is accepted"
        ) from None


def _scopes(transport: str, value: Json, where: str) -> dict[str, Requirements]:
    result: dict[str, Requirements] = {}
    for scope, requirements in as_object(value, where).items():
        if problem := scope_problem(transport, text(scope, f"a scope of {where}")):
            raise InvalidJson(f"{step(where, scope)}: {problem}")
        result[scope] = _requirements(requirements, step(where, scope))
    return result


def _requirements(value: Json, where: str) -> Requirements:
    items = as_array(value, where)
    if not items:
        raise InvalidJson(f"{where} is empty: at least one requirement is needed")
    return tuple(_requirement(item, step(where, i)) for i, item in enumerate(items))


def _type(value: Json, where: str) -> str:
    values = as_object(value, where)
    if "type" not in values:
        raise InvalidJson(f"{where}: the key 'type' is missing")
    return text(values["type"], step(where, "type"))


def _requirement(value: Json, where: str) -> Requirement:
    match _type(value, where):
        case "insecureAcceptAnything":
            Fields.of(value, where, required=("type",))
            return InsecureAcceptAnything()
        case "reject":
            Fields.of(value, where, required=("type",))
            return Reject()
        case "signedBy":
            return _signed_by(value, where)
        case "signedBaseLayer":
            fields = Fields.of(value, where, required=("type", "baseLayerIdentity"))
            key = "baseLayerIdentity"
            return SignedBaseLayer(identity=_identity(fields.values[key], fields.at(key)))
        case "sigstoreSigned":
            fields = Fields.of(
                value, where, required=("type",), optional=(*OPTIONAL_KEYS, "signedIdentity")
            )
            return sigstore_signed(fields, _signed_identity(fields))
        case other:
            raise InvalidJson(f"{step(where, 'type')}: unknown requirement {other[:80]!r}")


def _signed_by(value: Json, where: str) -> SignedBy:
    fields = Fields.of(
        value, where, required=("type", "keyType"), optional=(*_KEY_SOURCES, "signedIdentity")
    )
    key_type = fields.text("keyType")
    if key_type not in {known.value for known in KeyType}:
        raise InvalidJson(f"{fields.at('keyType')}: unknown key type {key_type[:80]!r}")
    return SignedBy(
        key_type=KeyType(key_type), keys=_key_source(fields), identity=_signed_identity(fields)
    )


def _key_source(fields: Fields) -> KeySource:
    match fields.exactly_one(_KEY_SOURCES):
        case "keyPath":
            return KeyPath(fields.filled_text("keyPath"))
        case "keyPaths":
            return KeyPaths(texts(fields.values["keyPaths"], fields.at("keyPaths")))
        case data:
            return KeyData(base64_bytes(fields.values[data], fields.at(data)))


def _signed_identity(fields: Fields) -> Identity:
    if "signedIdentity" not in fields:
        return MatchRepoDigestOrExact()
    return _identity(fields.values["signedIdentity"], fields.at("signedIdentity"))


def _identity(value: Json, where: str) -> Identity:
    match _type(value, where):
        case "exactReference":
            fields = Fields.of(value, where, required=("type", "dockerReference"))
            reference = _reference(fields, "dockerReference")
            if reference.tag is None and reference.digest is None:
                raise InvalidJson(f"{fields.at('dockerReference')} has neither tag nor digest")
            return ExactReference(reference)
        case "exactRepository":
            fields = Fields.of(value, where, required=("type", "dockerRepository"))
            return ExactRepository(_reference(fields, "dockerRepository"))
        case "remapIdentity":
            fields = Fields.of(value, where, required=("type", "prefix", "signedPrefix"))
            return RemapIdentity(
                prefix=_prefix(fields, "prefix"), signed_prefix=_prefix(fields, "signedPrefix")
            )
        case simple if simple in _SIMPLE_IDENTITIES:
            Fields.of(value, where, required=("type",))
            return _SIMPLE_IDENTITIES[simple]
        case other:
            raise InvalidJson(f"{step(where, 'type')}: unknown identity {other[:80]!r}")


def _reference(fields: Fields, key: str) -> DockerReference:
    try:
        return DockerReference.parse(fields.text(key))
    except InvalidReference as error:
        raise InvalidJson(f"{fields.at(key)}: {error}") from None


def _prefix(fields: Fields, key: str) -> str:
    """`HOST[:PORT]` or `HOST[:PORT]/PATH`, without tag and digest, fully qualified."""
    prefix = fields.text(key)
    host, slash, _path = prefix.partition("/")
    qualified = "." in host or ":" in host or host == "localhost"
    valid = _PREFIX_HOST.fullmatch(host) is not None and qualified
    if valid and slash:
        try:
            reference = DockerReference.parse(prefix)
            valid = reference.name == prefix
        except InvalidReference:
            valid = False
    if not valid:
        raise InvalidJson(f"{fields.at(key)}: {prefix[:255]!r} is not HOST[:PORT][/PATH]")
    return prefix
