# SPDX-License-Identifier: LGPL-2.1-or-later
"""Stored signatures: told apart by the first octets, or refused."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atomic_sys.trust.framing import (
    InvalidSignature,
    SigstoreAttachment,
    SimpleSignature,
    unframe,
)

FIRST = bytes.fromhex("a0a1a2a3c8 90919293c4 88898a8bc2")
JSON = b'{"mimeType":"m","payload":"eA==","annotations":{"a":"b"}}'


@pytest.mark.parametrize("first", FIRST)
def test_openpgp(first: int) -> None:
    stored = bytes((first, 1))
    assert unframe(stored, "s") == SimpleSignature(source="s", message=stored)


def test_framed() -> None:
    assert unframe(b"\0simple-signing\nx\ny", "s") == SimpleSignature(source="s", message=b"x\ny")
    assert unframe(b"\0sigstore-json\n" + JSON, "s") == SigstoreAttachment(
        source="s", mime="m", payload=b"x", annotations={"a": "b"}
    )


@pytest.mark.parametrize(
    "stored",
    [
        b"", b"\xffsimple-signing\nhello", b"\0simple-signing", b"\0format\xffname\ndata",
        b"\0unknown-format\ndata", b"-----BEGIN PGP MESSAGE-----", b"\x84x", b"\x3dx",
        b"\0sigstore-json\n", b"\0sigstore-json\n" + JSON[:-1] + b',"x":1}',
        b'\0sigstore-json\n{"mimeType":"m","payload":"-","annotations":{}}',
        b'\0sigstore-json\n{"mimeType":"m","payload":"","annotations":{"a":1}}',
    ],
)  # fmt: skip
def test_unknown(stored: bytes) -> None:
    with pytest.raises(InvalidSignature):
        unframe(stored, "s")


@given(st.binary() | st.binary().map(lambda rest: b"\0sigstore-json\n" + rest))
def test_never_crashes(stored: bytes) -> None:
    with contextlib.suppress(InvalidSignature):
        unframe(stored, "s")
