# SPDX-License-Identifier: LGPL-2.1-or-later
"""From a source to what the policy calls it, when it is pulled and when it is judged again."""

from dataclasses import replace
from pathlib import Path

import pytest

from atomic_sys.engine.judge import Judge
from atomic_sys.engine.sources import locate, stored_identity
from atomic_sys.errors import AtomicSysError, UsageError
from atomic_sys.image.http import Http
from atomic_sys.image.registries_conf import Registries
from atomic_sys.model.digest import Digest
from atomic_sys.model.source import parse_source
from atomic_sys.store.images import StoredImage
from atomic_sys.trust.files import LoadedPolicy
from atomic_sys.trust.gpg import GpgVerifier
from atomic_sys.trust.lookaside import LookasideConfig
from atomic_sys.trust.policy import parse
from atomic_sys.trust.scopes import path_identity


@pytest.mark.parametrize("transport", ["oci", "oci-archive", "dir", "docker-archive"])
@pytest.mark.parametrize("tag", ["", ":1"])
def test_files_are_judged_by_where_they_are(tmp_path: Path, transport: str, tag: str) -> None:
    if transport == "dir":
        tag = ""
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    if transport == "docker-archive" and tag:
        tag = ":h.io/a:1"
    source = parse_source(
        f"{transport}:{tmp_path}/link{tag}", is_directory=(str(tmp_path / "link")).__eq__
    )
    with Http() as http:
        at = locate(source, http, Registries())
    assert at.identity == at.place
    assert at.identity.transport == transport
    scopes = path_identity("x", str(tmp_path / "real")).scopes
    assert at.identity.scopes == (() if transport == "docker-archive" else scopes)
    assert at.source == f"{transport}:{tmp_path}/real{tag}"
    assert at.origin.description == at.source
    assert stored_identity(stored(at.source, tag)) == at.identity


def stored(source: str, tag: str) -> StoredImage:
    name = parse_source(
        f"a:{tag.rpartition(':')[2] or 'latest'}", is_directory=lambda _: False
    ).name
    return StoredImage(
        name=name, digest=Digest.of(b""), created=0, raw_manifest=b"", signature_count=0,
        layers=(), config_digest=None, size=None, commit="", source=source, verdict=None,
    )  # fmt: skip


def test_an_archive_has_no_colon_in_its_path(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("a:b")
    source = parse_source(f"oci-archive:{tmp_path}/link", is_directory=lambda _: False)
    with Http() as http, pytest.raises(UsageError, match="colon"):
        locate(source, http, Registries())


def test_signatures_beside_a_dir_image_are_read(tmp_path: Path) -> None:
    policy = parse(b'{"default": [{"type": "reject"}]}', "policy")
    judge = Judge(
        policy=LoadedPolicy(path="policy", policy=policy),
        lookaside=LookasideConfig(docker={}),
        get=lambda _url, _limit: None,
        read_key=lambda _path: b"",
        verifier=GpgVerifier(),
    )
    place = path_identity("dir", str(tmp_path))
    assert judge.signatures(place, Digest.of(b"")) == ()
    (tmp_path / "signature-1").write_bytes(b"\x90\x0d")
    assert len(judge.signatures(place, Digest.of(b""))) == 1
    assert judge.signatures(replace(place, transport="oci"), Digest.of(b"")) == ()
    (tmp_path / "signature-2").mkdir()
    with pytest.raises(AtomicSysError, match="signature-2"):
        judge.signatures(place, Digest.of(b""))
