# SPDX-License-Identifier: LGPL-2.1-or-later
"""ostree takes our images to other repositories and back, and prunes ours as we would."""

import io
import json
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from atomic_sys.model.digest import Digest
from atomic_sys.store.images import LayerImport
from tests.support import layers
from tests.support.places import Place

pytestmark = pytest.mark.conformance
CONTENTS = [
    [
        layers.directory("etc", mode=0o2775, gid=42),
        layers.file("etc/secret", b"s", mode=0o600, uid=1000, gid=1000),
        layers.file("bin/tool", b"#!/bin/sh\n" * 40, mode=0o4755),
        layers.hard_link("bin/again", "bin/tool"),
        layers.symlink("bin/link", "tool", uid=3),
        layers.file("large", bytes(range(256)) * 9000),
    ],
    [layers.file("etc/.wh.secret"), layers.hard_link("bin/third", "bin/tool")],
]


def write(path: Path, *contents: list[layers.Member]) -> Path:
    """A layout with these layers."""
    imports = [layers.layer_import(members) for members in contents]
    tars = [layers.archive(members) for members in contents]
    layers.write_layout(path, layers.image("x", imports), tars)
    return path


@pytest.fixture
def place() -> Iterator[Place]:
    """A root with the images `whole` and `base`, whose layer is one of the other's."""
    with tempfile.TemporaryDirectory(dir="/dev/shm", prefix="exchange-test.") as top:
        made = Place.make(Path(top, "root"))
        made.atomic("pull", f"oci:{write(Path(top, 'whole'), *CONTENTS)}")
        made.atomic("pull", f"oci:{write(Path(top, 'base'), CONTENTS[0])}")
        yield made


def ostree(repository: Path, *argv: str | Path) -> str:
    done = subprocess.run(
        ["ostree", f"--repo={repository}", *argv], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, (argv, done.stderr)
    return done.stdout


def files(place: Place, name: str) -> Mapping[str, tuple[object, ...]]:
    return place.checked_out(f"{name}:latest")


@pytest.mark.parametrize("mode", ["bare", "archive", "bare-user"])
def test_to_another_repository_and_back(place: Place, mode: str) -> None:
    before = files(place, "whole")
    other = place.root.parent / "other"
    ostree(other, "init", f"--mode={mode}")
    ostree(other, "pull-local", place.repository)
    assert "no errors found" in ostree(other, "fsck")
    assert set(ostree(other, "refs").split()) == set(place.ostree("refs").split())
    for name in ("whole", "base"):
        place.atomic("images", "delete", f"{name}:latest")
    place.atomic("images", "prune")
    assert not list(place.repository.glob("objects/*/*"))
    ostree(place.repository, "pull-local", other)
    place.check()
    assert place.names() == {"whole:latest", "base:latest"}
    place.atomic("images", "verify", "whole:latest")
    assert files(place, "whole") == before
    said = place.atomic("pull", f"oci:{place.root.parent / 'whole'}")[0]
    assert "Pulling layer" not in said
    place.atomic("images", "prune")
    assert files(place, "whole") == before


def test_ostree_prunes_what_we_forgot(place: Place) -> None:
    before = files(place, "base")
    place.atomic("images", "delete", "whole:latest")
    for ref in place.ostree("refs").split():
        if ref.startswith(("ocirootfs/", "ocitar/")):
            place.ostree("refs", "--delete", ref)
    place.ostree("prune", "--refs-only")
    place.check()
    assert place.names() == {"base:latest"}
    assert files(place, "base") == before  # merged anew
    place.atomic("images", "prune")
    place.check()
    assert files(place, "base") == before


def test_show_and_ls_tell_what_there_is(place: Place) -> None:
    (row,) = json.loads(place.atomic("images", "list", "--json", "-f", "repo=whole")[0])
    ref = "ociimage/whole_3Alatest"
    shown = place.ostree("show", ref, "--print-metadata-key=docker.digest")
    assert shown.strip() == f"'{row['digest']}'"
    signatures = place.ostree("show", ref, "--print-metadata-key=signatures")
    assert signatures.strip() == "'0'"
    layer = f"ociimage/{row['layers'][0].partition(':')[2]}"
    listed = place.ostree("ls", "-RX", layer)
    assert "-04755 0 0    400 { @a(ayay) [] } /bin/tool" in listed
    assert "d02775 0 42      0 { @a(ayay) [] } /etc" in listed
    assert place.ostree("cat", layer, "/etc/secret") == "s"


def test_what_the_format_cannot_hold_is_told_and_left_out(place: Place) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, kind in (
            ("dev/null", tarfile.CHRTYPE), ("dev/sda", tarfile.BLKTYPE),
            ("run/pipe", tarfile.FIFOTYPE), ("dev/there", tarfile.DIRTYPE),
        ):  # fmt: skip
            member = tarfile.TarInfo(name)
            member.type = kind
            tar.addfile(member)
    digest = Digest.of(buffer.getvalue())
    about = LayerImport(digest=digest, diff_id=digest, compressed_size=len(buffer.getvalue()))
    layout = place.root.parent / "devices"
    layers.write_layout(layout, layers.image("x", [about]), [buffer.getvalue()])
    _, said = place.atomic("pull", f"oci:{layout}")
    assert said.splitlines() == [
        f"warning: layer {digest}: left out {what}"
        for what in ("/dev/null (character device)", "/dev/sda (block device)", "/run/pipe (fifo)")
    ]
    place.check()
    assert {name for name in files(place, "devices") if name != "."} == {"dev", "dev/there", "run"}
