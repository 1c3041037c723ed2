# SPDX-License-Identifier: LGPL-2.1-or-later
"""Signatures at the first free number, and nothing that is there replaced."""

import os
from pathlib import Path

import pytest

from atomic_sys.errors import AtomicSysError
from atomic_sys.model.digest import Digest
from atomic_sys.model.reference import DockerReference
from atomic_sys.trust.signature_files import write_beside, write_lookaside
from atomic_sys.trust.signatures import MAX_SIGNATURES

DIGEST = Digest.of(b"manifest")
NAME = DockerReference.parse("example.com/ns/repo:1")


def test_lookaside(tmp_path: Path) -> None:
    place = tmp_path / "a b" / f"ns/repo@sha256={DIGEST.hex}"
    base = f"file://{tmp_path}/a%20b"
    assert list(write_lookaside(base, NAME, DIGEST, [b"1", b"2"])) == [
        str(place / "signature-1"), str(place / "signature-2"),
    ]  # fmt: skip
    os.unlink(place / "signature-1")
    assert list(write_lookaside(base, NAME, DIGEST, [b"3"])) == [str(place / "signature-1")]
    assert (place / "signature-2").read_bytes() == b"2"
    assert sorted(os.listdir(place)) == ["signature-1", "signature-2"]
    assert (place / "signature-1").stat().st_mode & 0o777 == 0o644


def test_beside(tmp_path: Path) -> None:
    assert list(write_beside(str(tmp_path), None, [b"1"])) == [f"{tmp_path}/signature-1"]
    instance = f"{tmp_path}/{DIGEST.hex}-signature-1"
    assert list(write_beside(str(tmp_path), DIGEST, [b"1"])) == [instance]


def test_full(tmp_path: Path) -> None:
    for number in range(1, MAX_SIGNATURES + 1):
        (tmp_path / f"signature-{number}").touch()
    with pytest.raises(AtomicSysError, match="there are 128 signatures already"):
        list(write_beside(str(tmp_path), None, [b"1"]))
    assert len(os.listdir(tmp_path)) == MAX_SIGNATURES


def test_no_directory(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(AtomicSysError, match="cannot write signatures to"):
        list(write_beside(str(tmp_path / "file"), None, [b"1"]))
