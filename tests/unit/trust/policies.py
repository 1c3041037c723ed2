# SPDX-License-Identifier: LGPL-2.1-or-later
"""Policies of one requirement."""

import json
from typing import Any

REJECT = [{"type": "reject"}]
HEX = "0123456789abcdef" * 4
CERTIFICATE = {"caPath": "/ca", "oidcIssuer": "https://i.example", "subjectEmail": "a@b.example"}


def policy(requirement: Any) -> bytes:
    return json.dumps({"default": [requirement]}).encode()


def signed_by(**changed: Any) -> dict[str, Any]:
    base = {"type": "signedBy", "keyType": "GPGKeys", "keyPath": "/k"} | changed
    return {key: value for key, value in base.items() if value != "ABSENT"}


def identified(**identity: Any) -> bytes:
    return policy(signed_by(signedIdentity=identity))


def sigstore(**fields: Any) -> bytes:
    return policy({"type": "sigstoreSigned"} | fields)
