# SPDX-License-Identifier: LGPL-2.1-or-later
"""The grammar of `sigstoreSigned` in policy.json (containers-policy.json(5))."""

from collections.abc import Sequence

from atomic_sys.model.strict_json import InvalidJson, as_array
from atomic_sys.trust.fields import Fields, base64_bytes, step, texts
from atomic_sys.trust.requirements import (
    Fulcio,
    Identity,
    KeyData,
    KeyDatas,
    KeyPath,
    KeyPaths,
    Pki,
    SigstoreKeySource,
    SigstoreSigned,
)

_KEYS = ("keyPath", "keyPaths", "keyData", "keyDatas")
_CERTIFICATES = ("fulcio", "pki")
_REKOR = (
    "rekorPublicKeyPath",
    "rekorPublicKeyPaths",
    "rekorPublicKeyData",
    "rekorPublicKeyDatas",
)
OPTIONAL_KEYS = (*_KEYS, *_CERTIFICATES, *_REKOR)


def sigstore_signed(fields: Fields, identity: Identity) -> SigstoreSigned:
    """Read the requirement, whose keys are known to be among OPTIONAL_KEYS.

    Raises InvalidJson. The transparency log's key is a must with fulcio, since nothing else tells
    when a short-lived certificate was used, and means nothing with pki.
    """
    trusted_key = fields.exactly_one((*_KEYS, *_CERTIFICATES))
    trusted: SigstoreKeySource | Fulcio | Pki
    match trusted_key:
        case "fulcio":
            trusted = _fulcio(fields)
        case "pki":
            trusted = _pki(fields)
        case key:
            trusted = _keys(fields, key)
    rekor_key = fields.at_most_one(_REKOR)
    if trusted_key == "fulcio" and rekor_key is None:
        raise InvalidJson(f"{fields.where}: fulcio needs one of {', '.join(_REKOR)}")
    if trusted_key == "pki" and rekor_key is not None:
        raise InvalidJson(f"{fields.where}: pki and {rekor_key} exclude each other")
    return SigstoreSigned(
        trusted=trusted,
        rekor_keys=None if rekor_key is None else _keys(fields, rekor_key),
        identity=identity,
        raw=fields.values,
    )


def _keys(fields: Fields, key: str) -> SigstoreKeySource:
    """The value of a key whose name ends with Path, Paths, Data or Datas."""
    value, where = fields.values[key], fields.at(key)
    if key.endswith("Path"):
        return KeyPath(fields.filled_text(key))
    if key.endswith("Data"):
        return KeyData(base64_bytes(value, where))
    items = as_array(value, where)
    if not items:
        raise InvalidJson(f"{where} is empty")
    if key.endswith("Paths"):
        return KeyPaths(texts(items, where))
    return KeyDatas(tuple(base64_bytes(item, step(where, i)) for i, item in enumerate(items)))


def _file(fields: Fields, keys: Sequence[str]) -> KeyPath | KeyData:
    key = fields.exactly_one(keys)
    if key.endswith("Path"):
        return KeyPath(fields.filled_text(key))
    return KeyData(base64_bytes(fields.values[key], fields.at(key)))


def _fulcio(parent: Fields) -> Fulcio:
    fields = Fields.of(
        parent.values["fulcio"],
        parent.at("fulcio"),
        required=("oidcIssuer", "subjectEmail"),
        optional=("caPath", "caData"),
    )
    return Fulcio(
        ca=_file(fields, ("caPath", "caData")),
        oidc_issuer=fields.filled_text("oidcIssuer"),
        subject_email=fields.filled_text("subjectEmail"),
    )


def _pki(parent: Fields) -> Pki:
    roots = ("caRootsPath", "caRootsData")
    intermediates = ("caIntermediatesPath", "caIntermediatesData")
    subjects = ("subjectEmail", "subjectHostname")
    fields = Fields.of(
        parent.values["pki"], parent.at("pki"), optional=(*roots, *intermediates, *subjects)
    )
    if not any(subject in fields for subject in subjects):
        raise InvalidJson(f"{fields.where}: one of {', '.join(subjects)} is missing")
    return Pki(
        roots=_file(fields, roots),
        intermediates=_file(fields, intermediates) if fields.at_most_one(intermediates) else None,
        subject_email=fields.filled_text("subjectEmail") if "subjectEmail" in fields else None,
        subject_hostname=(
            fields.filled_text("subjectHostname") if "subjectHostname" in fields else None
        ),
    )
