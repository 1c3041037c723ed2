# SPDX-License-Identifier: LGPL-2.1-or-later
"""PEM as RFC 7468 has it: labelled base64, nothing but white space around it, no headers."""

import base64
import re
from dataclasses import dataclass

from atomic_sys.errors import AtomicSysError

# No line of the body can contain the dash that ends it, so this takes linear time.
_BLOCK = re.compile(
    rb"\s*-----BEGIN ([A-Z0-9 ]{1,64})-----[ \t]*\r?\n"
    rb"([A-Za-z0-9+/=\s]*)"
    rb"-----END \1-----[ \t]*(?:\r?\n|\Z)\s*"
)


class InvalidPem(AtomicSysError):
    """Bytes that are not PEM from the first to the last."""


@dataclass(frozen=True, slots=True)
class Block:
    """One object: its label, such as PUBLIC KEY, and its DER encoding."""

    label: str
    content: bytes


def blocks(document: bytes, what: str) -> tuple[Block, ...]:
    """All objects of the document; `what` names it in the error. Raises InvalidPem."""
    found: list[Block] = []
    at = 0
    while at < len(document):
        match = _BLOCK.match(document, at)
        if match is None:
            raise InvalidPem(f"{what} is not in PEM format")
        body = b"".join(match[2].split())
        try:
            content = base64.b64decode(body, validate=True)
        except ValueError:
            raise InvalidPem(f"{what}: a PEM block is not base64") from None
        found.append(Block(match[1].decode("ascii"), content))
        at = match.end()
    return tuple(found)


def block(document: bytes, what: str) -> Block:
    """The only object of the document. Raises InvalidPem."""
    found = blocks(document, what)
    if len(found) != 1:
        raise InvalidPem(f"{what} has {len(found)} PEM blocks, not one")
    return found[0]


def encode(label: str, content: bytes) -> bytes:
    """The document of one object, in lines of 64 characters."""
    body = base64.b64encode(content)
    lines = [body[at : at + 64] for at in range(0, len(body), 64)]
    marks = f"-----BEGIN {label}-----".encode(), f"-----END {label}-----".encode()
    return b"\n".join((marks[0], *lines, marks[1], b""))
