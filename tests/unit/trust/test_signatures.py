# SPDX-License-Identifier: LGPL-2.1-or-later
"""All signatures or an error: never fewer than there are."""

import os
from pathlib import Path

import pytest

from atomic_sys.errors import AtomicSysError
from atomic_sys.model.digest import Digest
from atomic_sys.model.reference import DockerReference
from atomic_sys.trust.framing import InvalidSignature, SignatureBlob, SimpleSignature
from atomic_sys.trust.lookaside import LookasideConfig, parse
from atomic_sys.trust.scopes import docker_identity, path_identity
from atomic_sys.trust.signatures import (
    MAX_SIGNATURES,
    SIGNATURE_LIMIT,
    read_directory_signatures,
    read_signatures,
)

DIGEST = Digest.of(b"manifest")
IMAGE = docker_identity(DockerReference.parse("example.com/ns/repo:1"))
WEB = parse([("f", b"default-docker: {lookaside: 'https://l.example/s'}")])


def nothing(address: str, limit: int) -> bytes | None:
    raise AssertionError(address)


def below(directory: Path) -> LookasideConfig:
    return parse([("f", f"default-docker: {{lookaside: 'file://{directory}'}}".encode())])


def from_files(directory: Path) -> tuple[SignatureBlob, ...]:
    return read_signatures(IMAGE, DIGEST, below(directory), nothing)


def image_directory(top: Path) -> Path:
    path = top / f"ns/repo@sha256={DIGEST.hex}"
    path.mkdir(parents=True)
    return path


def test_from_files(tmp_path: Path) -> None:
    path = image_directory(tmp_path)
    for number in (1, 2, 4):
        (path / f"signature-{number}").write_bytes(b"\xa3%d" % number)
    assert from_files(tmp_path) == tuple(
        SimpleSignature(source=f"file://{path}/signature-{n}", message=b"\xa3%d" % n)
        for n in (1, 2)
    )


def test_escaped_path(tmp_path: Path) -> None:
    path = image_directory(tmp_path / "a b")
    (path / "signature-1").write_bytes(b"\xa3")
    assert len(from_files(Path(f"{tmp_path}/a%20b"))) == 1


def test_none(tmp_path: Path) -> None:
    assert from_files(tmp_path) == ()


def test_by_http() -> None:
    asked: list[tuple[str, int]] = []

    def get(address: str, limit: int) -> bytes | None:
        asked.append((address, limit))
        return b"\xa3x" if len(asked) < 3 else None

    assert len(read_signatures(IMAGE, DIGEST, WEB, get)) == 2
    assert asked == [
        (f"https://l.example/s/ns/repo@sha256={DIGEST.hex}/signature-{n}", SIGNATURE_LIMIT)
        for n in (1, 2, 3)
    ]


def test_failure_is_no_absence(tmp_path: Path) -> None:
    def get(address: str, limit: int) -> bytes | None:
        raise AtomicSysError("403")

    with pytest.raises(AtomicSysError, match="403"):
        read_signatures(IMAGE, DIGEST, WEB, get)
    (tmp_path / "ns").write_text("not a directory")
    with pytest.raises(AtomicSysError, match="cannot read the signature"):
        from_files(tmp_path)


def test_one_unknown_blob_spoils_all(tmp_path: Path) -> None:
    path = image_directory(tmp_path)
    (path / "signature-1").write_bytes(b"\xa3")
    (path / "signature-2").write_bytes(b"<html>")
    with pytest.raises(InvalidSignature, match="signature-2"):
        from_files(tmp_path)


def test_too_large(tmp_path: Path) -> None:
    with open(image_directory(tmp_path) / "signature-1", "wb") as stream:
        stream.write(b"\xa3")
        stream.truncate(SIGNATURE_LIMIT + 1)
    with pytest.raises(AtomicSysError, match="limit"):
        from_files(tmp_path)


def test_only_regular_files(tmp_path: Path) -> None:
    os.mkfifo(image_directory(tmp_path) / "signature-1")
    with pytest.raises(AtomicSysError, match="not a regular file"):
        from_files(tmp_path)


@pytest.mark.parametrize("count", [MAX_SIGNATURES, MAX_SIGNATURES + 1])
def test_too_many(count: int) -> None:
    asked: list[str] = []

    def get(address: str, limit: int) -> bytes | None:
        asked.append(address)
        return b"\xa3" if len(asked) <= count else None

    if count == MAX_SIGNATURES:
        assert len(read_signatures(IMAGE, DIGEST, WEB, get)) == count
    else:
        with pytest.raises(AtomicSysError, match="more than 128"):
            read_signatures(IMAGE, DIGEST, WEB, get)


def test_image_in_no_registry() -> None:
    assert read_signatures(path_identity("oci", "/a"), DIGEST, WEB, nothing) == ()


def test_beside_the_manifest(tmp_path: Path) -> None:
    (tmp_path / "signature-1").write_bytes(b"\0simple-signing\nx")
    assert read_directory_signatures(str(tmp_path), DIGEST) == (
        SimpleSignature(source=f"{tmp_path}/signature-1", message=b"x"),
    )


def test_beside_the_manifest_of_an_instance(tmp_path: Path) -> None:
    (tmp_path / "signature-1").write_bytes(b"\0simple-signing\nx")
    (tmp_path / f"{DIGEST.hex}.manifest.json").write_bytes(b"{}")
    assert read_directory_signatures(str(tmp_path), DIGEST) == ()
    own = tmp_path / f"{DIGEST.hex}.signature-1"
    own.write_bytes(b"\0simple-signing\ny")
    assert read_directory_signatures(str(tmp_path), DIGEST) == (
        SimpleSignature(source=str(own), message=b"y"),
    )
