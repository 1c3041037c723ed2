# SPDX-License-Identifier: LGPL-2.1-or-later
"""Manifests and indexes: unambiguous, or refused."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atomic_sys.errors import AtomicSysError
from atomic_sys.model.manifest import (
    DOCKER_LIST,
    DOCKER_MANIFEST,
    MAX_ENTRIES,
    MAX_SIZE,
    OCI_INDEX,
    OCI_MANIFEST,
    Index,
    InvalidManifest,
    Manifest,
    parse,
)
from atomic_sys.model.platform import Platform

HEX = "0123456789abcdef" * 4
DESCRIPTOR: dict[str, Any] = {"mediaType": "x", "digest": f"sha256:{HEX}", "size": 5}
MANIFEST: dict[str, Any] = {"schemaVersion": 2, "config": DESCRIPTOR, "layers": [DESCRIPTOR]}
INDEX: dict[str, Any] = {"schemaVersion": 2, "manifests": [DESCRIPTOR]}


def read(body: object, content_type: str | None = None) -> Manifest | Index:
    return parse(json.dumps(body).encode(), content_type=content_type)


@pytest.mark.parametrize(
    ("stated", "served", "expected"),
    [
        (None, None, OCI_MANIFEST),
        (None, "application/json", OCI_MANIFEST),
        (None, "text/plain; charset=utf-8", OCI_MANIFEST),
        (None, "", OCI_MANIFEST),
        (None, DOCKER_MANIFEST, DOCKER_MANIFEST),
        (DOCKER_MANIFEST, None, DOCKER_MANIFEST),
        (DOCKER_MANIFEST, "application/octet-stream", DOCKER_MANIFEST),
        (OCI_MANIFEST, OCI_MANIFEST + "; charset=utf-8", OCI_MANIFEST),
        (OCI_MANIFEST, OCI_MANIFEST.upper(), OCI_MANIFEST),
    ],
)
def test_media_types_of_manifests(stated: str | None, served: str | None, expected: str) -> None:
    body = MANIFEST if stated is None else MANIFEST | {"mediaType": stated}
    found = read(body, served)
    assert isinstance(found, Manifest)
    assert found.media_type == expected
    assert (found.config.digest.hex, found.config.size, len(found.layers)) == (HEX, 5, 1)


@pytest.mark.parametrize(
    ("stated", "served"),
    [(None, None), (OCI_INDEX, None), (DOCKER_LIST, DOCKER_LIST), (None, OCI_INDEX)],
)
def test_media_types_of_indexes(stated: str | None, served: str | None) -> None:
    found = read(INDEX if stated is None else INDEX | {"mediaType": stated}, served)
    assert isinstance(found, Index)
    assert found.media_type == (stated or served or OCI_INDEX)


SCHEMA1 = {"schemaVersion": 1, "fsLayers": [], "history": []}


@pytest.mark.parametrize(
    ("body", "served", "message"),
    [
        (SCHEMA1, None, "schema 1"),
        (MANIFEST | {"fsLayers": []}, None, "schema 1"),
        (MANIFEST | {"schemaVersion": 3}, None, "unknown schemaVersion"),
        (MANIFEST | {"schemaVersion": "2"}, None, "not an integer"),
        ({}, None, "schemaVersion is not"),
        ([], None, "not an object"),
        (MANIFEST | {"manifests": []}, None, "ambiguous"),
        (MANIFEST | {"manifests": []}, OCI_MANIFEST, "ambiguous"),
        (INDEX | {"layers": []}, None, "ambiguous"),
        (INDEX | {"config": DESCRIPTOR}, OCI_INDEX, "ambiguous"),
        (INDEX | {"history": []}, None, "ambiguous"),
        (MANIFEST | {"history": []}, None, "ambiguous"),
        (MANIFEST | {"Layers": []}, None, "key 'Layers'"),
        (MANIFEST | {"MANIFESTS": []}, None, "key 'MANIFESTS'"),
        (MANIFEST | {"mediatype": OCI_INDEX}, None, "key 'mediatype'"),
        (MANIFEST | {"mediaType": OCI_INDEX}, None, "ambiguous"),
        (INDEX | {"mediaType": OCI_MANIFEST}, None, "ambiguous"),
        (MANIFEST | {"mediaType": OCI_MANIFEST}, DOCKER_MANIFEST, "the server says"),
        (MANIFEST, OCI_INDEX, "ambiguous"),
        (MANIFEST | {"mediaType": "application/json"}, None, "unsupported type"),
        (MANIFEST | {"mediaType": 5}, None, "mediaType is not a string"),
        ({"schemaVersion": 2}, None, "config is not an object"),
        ({"schemaVersion": 2, "config": DESCRIPTOR}, None, "layers is not an array"),
        (MANIFEST | {"layers": [1]}, None, r"layers\[0\] is not an object"),
        (MANIFEST | {"layers": [DESCRIPTOR] * (MAX_ENTRIES + 1)}, None, "more than"),
        (INDEX | {"manifests": [DESCRIPTOR | {"platform": 5}]}, None, "platform is not"),
    ],
)
def test_refused(body: object, served: str | None, message: str) -> None:
    with pytest.raises(AtomicSysError, match=message):
        read(body, served)


@pytest.mark.parametrize(
    "change",
    [
        {"digest": "sha256:../../etc"},
        {"digest": f"sha256:{HEX.upper()}"},
        {"digest": f"md5:{HEX}"},
        {"digest": None},
        {"size": -1},
        {"size": MAX_SIZE + 1},
        {"size": 1.5},
        {"size": True},
        {"size": "5"},
        {"mediaType": None},
        {"Size": 5},
        {"DIGEST": "x"},
        {"urls": "http://x"},
        {"annotations": {"a": 1}},
    ],
)
def test_bad_descriptors(change: dict[str, object]) -> None:
    for body in (
        MANIFEST | {"config": DESCRIPTOR | change},
        MANIFEST | {"layers": [DESCRIPTOR, DESCRIPTOR | change]},
        INDEX | {"manifests": [DESCRIPTOR | change]},
    ):
        with pytest.raises(AtomicSysError):
            read(body)


def test_duplicate_keys_are_refused() -> None:
    with pytest.raises(AtomicSysError, match="duplicate key 'layers'"):
        parse(json.dumps(MANIFEST).encode()[:-1] + b', "l\\u0061yers": []}')


AMD64 = Platform(os="linux", architecture="amd64")


def entry(**platform: str) -> dict[str, Any]:
    digest = f"sha256:{abs(hash(tuple(sorted(platform.items())))):064x}"
    return DESCRIPTOR | {"digest": digest} | ({"platform": platform} if platform else {})


ENTRIES = [
    entry(),
    entry(os="unknown", architecture="unknown"),
    entry(os="windows", architecture="amd64"),
    entry(os="linux", architecture="arm", variant="v6"),
    entry(os="linux", architecture="arm", variant="v7"),
    entry(os="linux", architecture="arm64"),
    entry(os="linux", architecture="amd64"),
    entry(os="linux", architecture="amd64", variant="v3"),
]


@pytest.mark.parametrize(
    ("machine", "expected"),
    [
        ("x86_64", 6),
        ("aarch64", 5),
        ("armv7l", 4),
        ("armv6l", 3),
        ("armv5tel", 0),
        ("s390x", 0),
    ],
)
def test_choice(machine: str, expected: int) -> None:
    found = read(INDEX | {"manifests": ENTRIES})
    assert isinstance(found, Index)
    assert found.choose(Platform.of_machine(machine)) is found.manifests[expected]


def test_no_choice() -> None:
    found = read(INDEX | {"manifests": ENTRIES[1:4]})
    assert isinstance(found, Index)
    with pytest.raises(
        InvalidManifest,
        match="no image for linux/amd64; there is: linux/arm/v6, unknown/unknown, windows/amd64",
    ):
        found.choose(AMD64)
    empty = read(INDEX | {"manifests": []})
    assert isinstance(empty, Index)
    with pytest.raises(InvalidManifest, match="nothing"):
        empty.choose(AMD64)


@given(st.binary(max_size=200))
def test_any_bytes(document: bytes) -> None:
    with pytest.raises(AtomicSysError):
        parse(document)
