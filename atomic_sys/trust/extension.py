# SPDX-License-Identifier: LGPL-2.1-or-later
"""The documents of the registry API extension for signatures, as OpenShift's registry has it.

A registry that has it says so by the header `X-Registry-Supports-Signatures`; the signatures of a
manifest are then at `/extensions/v2/NAME/signatures/DIGEST`, and lookaside stores are not asked.
Source: containers/image docs/signature-protocols.md, "X-Registry-Supports-Signatures".
"""

import base64
import json
import secrets

from atomic_sys.errors import AtomicSysError
from atomic_sys.model.digest import Digest
from atomic_sys.model.strict_json import as_array, as_object, as_string, loads
from atomic_sys.trust.fields import base64_bytes
from atomic_sys.trust.framing import SignatureBlob, unframe
from atomic_sys.trust.signatures import MAX_SIGNATURES

_VERSION = 2
_TYPE = "atomic"


def parse_signatures(document: bytes, source: str) -> tuple[SignatureBlob, ...]:
    """The signatures of a list; entries of other versions and types are passed over.

    Raises InvalidJson, InvalidSignature, and AtomicSysError for more than MAX_SIGNATURES.
    """
    top = as_object(loads(document, source), source)
    entries = as_array(top.get("signatures"), f"{source}: signatures")
    found: list[SignatureBlob] = []
    for number, value in enumerate(entries):
        where = f"{source}[{number}]"
        entry = as_object(value, where)
        if entry.get("schemaVersion") != _VERSION or entry.get("type") != _TYPE:
            continue
        if len(found) == MAX_SIGNATURES:
            raise AtomicSysError(f"more than {MAX_SIGNATURES} signatures: {source}")
        name = as_string(entry.get("name"), f"{where}: name")
        content = base64_bytes(entry.get("content"), f"{where}: content")
        found.append(unframe(content, f"{source}/{name}"))
    return tuple(found)


def new_signature(digest: Digest, message: bytes) -> bytes:
    """The document that adds a simple signature of the manifest with this digest."""
    return json.dumps({
        "schemaVersion": _VERSION,
        "type": _TYPE,
        "name": f"{digest}@{secrets.token_hex(16)}",
        "content": base64.b64encode(message).decode("ascii"),
    }).encode()
