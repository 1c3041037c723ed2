# SPDX-License-Identifier: LGPL-2.1-or-later
"""Digests: what is one, and what only looks like one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atomic_sys.model.digest import Digest, InvalidDigest

SHA256 = "sha256:" + "0123456789abcdef" * 4


@pytest.mark.parametrize("text", [SHA256, "sha512:" + "a" * 128])
def test_valid(text: str) -> None:
    digest = Digest.parse(text)
    assert str(digest) == text
    assert Digest.parse(str(digest)) == digest


@pytest.mark.parametrize(
    "text",
    [
        "",
        "sha256",
        "sha256:",
        SHA256[:-1],
        SHA256 + "0",
        SHA256.upper(),
        "SHA256:" + "a" * 64,
        "sha256:" + "A" * 64,
        "sha256:" + "g" * 64,
        "sha256:../" + "a" * 61,
        "sha256:" + "a" * 63 + "\n",
        "sha256:" + "a" * 63 + "/",
        "sha256:" + "٣" * 64,
        "sha512:" + "a" * 64,
        "sha256:" + "a" * 128,
        "md5:" + "a" * 32,
        "sha384:" + "a" * 96,
        " " + SHA256,
        SHA256 + "\n",
        "a" * 64,
    ],
)
def test_invalid(text: str) -> None:
    with pytest.raises(InvalidDigest):
        Digest.parse(text)
    algorithm, _, rest = text.partition(":")
    with pytest.raises(InvalidDigest):
        Digest(algorithm, rest)


def test_a_long_digest_is_not_printed_whole() -> None:
    with pytest.raises(InvalidDigest) as caught:
        Digest.parse("sha256:" + "x" * 1_000_000)
    assert len(str(caught.value)) < 300


@given(st.binary(), st.binary())
def test_matches(content: bytes, other: bytes) -> None:
    assert Digest.of(content).matches(content)
    assert Digest.of(content).matches(other) == (content == other)
