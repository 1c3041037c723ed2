# SPDX-License-Identifier: LGPL-2.1-or-later
"""Signatures written to files: whole, at the first free number, and nothing replaced."""

import os
from pathlib import Path

import pytest

from atomic_sys.errors import AtomicSysError
from atomic_sys.model.digest import Digest
from atomic_sys.model.reference import DockerReference
from atomic_sys.trust import signature_files
from atomic_sys.trust.signature_files import write_beside, write_lookaside

DIGEST = Digest.of(b"x")
NAME = DockerReference.parse("h.io/ns/a:1")


def test_lookaside(tmp_path: Path) -> None:
    base = f"file://{tmp_path}/with%20space"
    paths = [path for blobs in ((b"a",), (b"b", b"c")) for path in
             write_lookaside(base, NAME, DIGEST, blobs)]  # fmt: skip
    directory = tmp_path / f"with space/ns/a@sha256={DIGEST.hex}"
    assert paths == [str(directory / f"signature-{number}") for number in (1, 2, 3)]
    assert [Path(path).read_bytes() for path in paths] == [b"a", b"b", b"c"]
    assert len(os.listdir(directory)) == 3
    assert (directory / "signature-1").stat().st_mode & 0o777 == 0o644


def test_beside(tmp_path: Path) -> None:
    assert [*write_beside(str(tmp_path), None, [b"a"])] == [f"{tmp_path}/signature-1"]
    assert [*write_beside(str(tmp_path), DIGEST, [b"b"])] == [
        f"{tmp_path}/{DIGEST.hex}.signature-1"
    ]


def test_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signature_files, "MAX_SIGNATURES", 1)
    with pytest.raises(AtomicSysError, match="1 signatures already"):
        list(write_beside(str(tmp_path), None, [b"a", b"b"]))


def test_unwritable(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(AtomicSysError, match="cannot write signatures"):
        list(write_beside(str(tmp_path / "file"), None, [b"a"]))
