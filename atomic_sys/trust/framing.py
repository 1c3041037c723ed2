# SPDX-License-Identifier: LGPL-2.1-or-later
"""Stored signatures, told apart by their first octets.

A simple signature is stored as it is; everything can be stored behind `\\0FORMAT\\n`, which is what
directories do for sigstore attachments.
"""

import base64
import json
from collections.abc import Mapping
from typing import assert_never

from atomic_sys.errors import AtomicSysError
from atomic_sys.frozen import frozen
from atomic_sys.model.strict_json import InvalidJson, as_string_map, loads
from atomic_sys.trust.fields import Fields, base64_bytes

# Compressed data, one-pass signature and signature packets in both formats (RFC 4880, 4.2).
_OPENPGP = frozenset(b"\xa0\xa1\xa2\xa3\xc8\x90\x91\x92\x93\xc4\x88\x89\x8a\x8b\xc2")


class InvalidSignature(AtomicSysError):
    """A stored signature of no known format; it makes all signatures of its image unusable."""


@frozen
class SimpleSignature:
    """An OpenPGP message, and where it was read."""

    source: str
    message: bytes


@frozen
class SigstoreAttachment:
    """A payload with its annotations, and where it was read."""

    source: str
    mime: str
    payload: bytes
    annotations: Mapping[str, str]


SignatureBlob = SimpleSignature | SigstoreAttachment


def unframe(stored: bytes, source: str) -> SignatureBlob:
    """Tell what a stored signature is; `source` is where it was read.

    Raises InvalidSignature.
    """
    if stored[:1] != b"\0":
        if not stored or stored[0] not in _OPENPGP:
            raise InvalidSignature(f"{source} is not a binary OpenPGP message")
        return SimpleSignature(source=source, message=stored)
    name, newline, rest = stored[1:].partition(b"\n")
    match name if newline else b"":
        case b"simple-signing":
            return SimpleSignature(source=source, message=rest)
        case b"sigstore-json":
            return _sigstore(rest, source)
        case _:
            raise InvalidSignature(f"{source} is of an unknown signature format")


def frame(signature: SignatureBlob) -> bytes:
    """The bytes that unframe() reads; of a simple signature, the plain OpenPGP message."""
    match signature:
        case SimpleSignature(message=message):
            return message
        case SigstoreAttachment():
            document = {
                "mimeType": signature.mime,
                "payload": base64.b64encode(signature.payload).decode("ascii"),
                "annotations": dict(sorted(signature.annotations.items())),
            }
            return b"\0sigstore-json\n" + json.dumps(document).encode()
        case _ as unreachable:
            assert_never(unreachable)


def _sigstore(document: bytes, source: str) -> SigstoreAttachment:
    try:
        fields = Fields.of(
            loads(document, source), source, required=("mimeType", "payload", "annotations")
        )
        return SigstoreAttachment(
            source=source,
            mime=fields.text("mimeType"),
            payload=base64_bytes(fields.values["payload"], fields.at("payload")),
            annotations=as_string_map(fields.values["annotations"], fields.at("annotations")),
        )
    except InvalidJson as error:
        raise InvalidSignature(str(error)) from None
