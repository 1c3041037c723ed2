# SPDX-License-Identifier: LGPL-2.1-or-later
"""The signed JSON, and everything that breaks it."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atomic_sys.model.digest import Digest
from atomic_sys.trust.payload import InvalidPayload, Payload, PayloadType, parse

DIGEST = "sha256:" + "0123456789abcdef" * 4


def parse_simple(document: bytes) -> Payload:
    return parse(document, PayloadType.SIMPLE)


def document(**optional: Any) -> dict[str, Any]:
    return {
        "critical": {
            "type": "atomic container signature",
            "image": {"docker-manifest-digest": DIGEST},
            "identity": {"docker-reference": "busybox:latest"},
        },
        "optional": optional,
    }


def test_whole() -> None:
    assert parse_simple(
        json.dumps(document(creator="c 1", timestamp=1, other=[])).encode()
    ) == Payload(
        manifest_digest=Digest.parse(DIGEST),
        docker_reference="busybox:latest",
        creator="c 1",
        timestamp=1,
    )


def test_least() -> None:
    payload = parse_simple(json.dumps(document()).encode())
    assert (payload.creator, payload.timestamp) == (None, None)


@pytest.mark.parametrize(
    ("written", "timestamp"),
    [("1.0", 1), ("1e3", 1000), ("-5", -5), ("-9223372036854775808", -(2**63))],
)
def test_whole_seconds(written: str, timestamp: int) -> None:
    text = json.dumps(document(timestamp="T")).replace('"T"', written)
    assert parse_simple(text.encode()).timestamp == timestamp


@pytest.mark.parametrize(
    "written", ["1.5", "9223372036854775808", "1e19", "1e999", "true", '"1"', "null", "-9.3e18"]
)
def test_unfit_timestamp(written: str) -> None:
    text = json.dumps(document(timestamp="T")).replace('"T"', written)
    with pytest.raises(InvalidPayload, match="timestamp"):
        parse_simple(text.encode())


ABSENT = object()
BREAKS: list[tuple[str, Any]] = [
    ("critical", ABSENT), ("critical", 1), ("optional", ABSENT), ("optional", 1),
    ("optional", None), ("unexpected", 1),
    ("critical.type", ABSENT), ("critical.type", 1), ("critical.type", "unexpected"),
    ("critical.image", ABSENT), ("critical.image", None), ("critical.identity", ABSENT),
    ("critical.identity", None), ("critical.unexpected", 1),
    ("critical.image.docker-manifest-digest", ABSENT),
    ("critical.image.docker-manifest-digest", 1),
    ("critical.image.docker-manifest-digest", "md5:" + "0" * 32),
    ("critical.image.docker-manifest-digest", "sha256:../hello"),
    ("critical.image.docker-manifest-digest", ""), ("critical.image.unexpected", 1),
    ("critical.identity.docker-reference", ABSENT), ("critical.identity.docker-reference", 1),
    ("critical.identity.unexpected", 1), ("optional.creator", 1), ("optional.creator", None),
]  # fmt: skip


@pytest.mark.parametrize(("path", "value"), BREAKS)
def test_broken(path: str, value: Any) -> None:
    broken = document(creator="c", timestamp=1)
    *parents, last = path.split(".")
    at = broken
    for parent in parents:
        at = at[parent]
    if value is ABSENT:
        del at[last]
    else:
        at[last] = value
    with pytest.raises(InvalidPayload):
        parse_simple(json.dumps(broken).encode())


TWICE = b'{"critical":{},"critical":{},"optional":{}}'


@pytest.mark.parametrize("text", [b"", b"&", b"1", b"{}", TWICE, b"\xff", b"[" * 20000])
def test_not_the_document(text: bytes) -> None:
    with pytest.raises(InvalidPayload):
        parse_simple(text)


def test_trailing_text() -> None:
    with pytest.raises(InvalidPayload):
        parse_simple(json.dumps(document()).encode() + b"{}")


@given(st.binary())
def test_never_crashes(text: bytes) -> None:
    with pytest.raises(InvalidPayload):
        parse_simple(text)


def test_kinds_are_not_mixed_up() -> None:
    simple = document()
    cosign = document()
    cosign["critical"]["type"] = "cosign container image signature"
    for content, kind in ((simple, PayloadType.SIGSTORE), (cosign, PayloadType.SIMPLE)):
        with pytest.raises(InvalidPayload, match="type is not"):
            parse(json.dumps(content).encode(), kind)
    nothing = json.dumps(cosign | {"optional": None}).encode()
    assert parse(nothing, PayloadType.SIGSTORE).creator is None
    with pytest.raises(InvalidPayload, match="optional is not an object"):
        parse_simple(json.dumps(simple | {"optional": None}).encode())
