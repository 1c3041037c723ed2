# SPDX-License-Identifier: LGPL-2.1-or-later
"""The documents of attachments and of the API extension, there and back."""

import json
from typing import Any

import pytest

from atomic_sys.errors import AtomicSysError
from atomic_sys.model import manifest as documents
from atomic_sys.model.digest import Digest
from atomic_sys.trust.attachments import (
    InvalidAttachments,
    attachment_tag,
    build_image,
    parse_attachments,
)
from atomic_sys.trust.extension import new_signature, parse_signatures
from atomic_sys.trust.framing import InvalidSignature, SimpleSignature, frame, unframe
from atomic_sys.trust.signatures import MAX_SIGNATURES, SIGNATURE_LIMIT
from tests.support.sigstore import attach, new_key

DIGEST = Digest.of(b"manifest")
ONE = attach(b"payload", new_key())


def test_tag() -> None:
    assert attachment_tag(DIGEST) == f"sha256-{DIGEST.hex}.sig"


def test_there_and_back() -> None:
    image = build_image([ONE, ONE])
    layers = parse_attachments(image.manifest, "s")
    assert [layer.annotations for layer in layers] == [ONE.annotations] * 2
    assert [layer.digest for layer in layers] == [Digest.of(ONE.payload)] * 2
    parsed = documents.parse(image.manifest)
    assert isinstance(parsed, documents.Manifest)
    assert parsed.config.digest.matches(image.config)
    assert len(json.loads(image.config)["rootfs"]["diff_ids"]) == 2


def test_more_than_anybody_reads() -> None:
    build_image([ONE] * MAX_SIGNATURES)
    with pytest.raises(InvalidAttachments, match="which nobody reads"):
        build_image([ONE] * (MAX_SIGNATURES + 1))


def changed(**fields: Any) -> bytes:
    return json.dumps(json.loads(build_image([ONE]).manifest) | fields).encode()


LAYER = json.loads(build_image([ONE]).manifest)["layers"][0]


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        (changed(mediaType=documents.DOCKER_MANIFEST), "not an OCI image manifest"),
        (b'{"schemaVersion":2,"manifests":[]}', "not an OCI image manifest"),
        (changed(layers=[LAYER] * (MAX_SIGNATURES + 1)), "more than 128 signatures"),
        (changed(layers=[LAYER | {"size": SIGNATURE_LIMIT + 1}]), "a payload of more than"),
    ],
)
def test_no_attachments(document: bytes, reason: str) -> None:
    with pytest.raises(InvalidAttachments, match=reason):
        parse_attachments(document, "s")


def test_framed() -> None:
    assert unframe(frame(ONE), ONE.source) == ONE
    simple = SimpleSignature(source="s", message=b"\xa3x")
    assert frame(simple) == b"\xa3x"
    assert unframe(frame(simple), "s") == simple


def listed(*entries: Any) -> bytes:
    return json.dumps({"signatures": list(entries)}).encode()


ENTRY = json.loads(new_signature(DIGEST, b"\xa3x"))


def test_extension() -> None:
    name, _, suffix = ENTRY["name"].partition("@")
    assert name == str(DIGEST)
    assert len(suffix) == 32
    skipped = (ENTRY | {"type": "x"}, ENTRY | {"schemaVersion": 3})
    assert (
        parse_signatures(listed(*skipped, ENTRY, ENTRY | {"more": 1}), "s")
        == (SimpleSignature(source=f"s/{ENTRY['name']}", message=b"\xa3x"),) * 2
    )


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"{}",
        b"[]",
        listed(1),
        listed(ENTRY | {"name": None}),
        listed(ENTRY | {"content": "a b"}),
        listed(ENTRY | {"content": ""}),
        listed(*[ENTRY] * (MAX_SIGNATURES + 1)),
    ],
)
def test_extension_all_or_nothing(document: bytes) -> None:
    with pytest.raises(AtomicSysError):
        parse_signatures(document, "s")


def test_extension_unknown_format() -> None:
    with pytest.raises(InvalidSignature):
        parse_signatures(listed(ENTRY | {"content": "PGh0bWw+"}), "s")
