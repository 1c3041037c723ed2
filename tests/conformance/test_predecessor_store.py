# SPDX-License-Identifier: LGPL-2.1-or-later
"""A store that the predecessor filled, by skopeo's `ostree:`, and that the host shares.

Its commits are made by libostree: plain trees of the layers, all metadata strings, no root file
system. Next to them is the tree of the host's own system, which has files in common with the image.
"""

import base64
import gzip
import json
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from atomic_sys.store.images import ImageToStore
from tests.support import images, layers
from tests.support.layers import listing
from tests.support.places import Place

pytestmark = pytest.mark.conformance
NAME = "registry.example.com/hello:1"
ENCODED = "registry.example.com_2Fhello_3A1"
LOWER = [*images.members(), layers.file("etc/gone", b"gone"), layers.directory("var", mode=0o750)]
UPPER = [layers.file("etc/.wh.gone"), layers.file("etc/new", b"new", mode=0o4755)]
SYSTEM = [layers.file("hello", b"hello\n", mode=0o755), layers.file("usr/bin/sh", b"#!\n")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """A root with a repository that others have filled."""

    place: Place
    repository: Path
    image: ImageToStore

    def atomic(self, *argv: str, code: int = 0) -> str:
        return self.place.atomic(*argv, code=code)[0]

    def ostree(self, *argv: str | Path) -> str:
        done = subprocess.run(
            ["ostree", f"--repo={self.repository}", *argv],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, (argv, done.stderr)
        return done.stdout

    def commit(self, branch: str, tree: str | Path, metadata: Mapping[str, str]) -> None:
        """As skopeo did: `ostree commit` of a directory or an archive, with strings."""
        strings = [f"--add-metadata-string={key}={value}" for key, value in metadata.items()]
        kind = "dir" if Path(tree).is_dir() else "tar"
        self.ostree("commit", f"--branch={branch}", "--tar-autocreate-parents", "--subject=x",
                    f"--tree={kind}={tree}", *strings)  # fmt: skip


def fill(site: Site, scratch: Path) -> None:
    """What `skopeo copy docker://... ostree:...` leaves, and a system of the host."""
    for number, members in enumerate((LOWER, UPPER)):
        about, tar = layers.layer_import(members), layers.archive(members)
        (scratch / f"{number}.tar").write_bytes(tar)
        site.commit(f"ociimage/{about.digest.hex}", scratch / f"{number}.tar", {
            "docker.size": str(len(tar)),
            "docker.uncompressed_size": str(len(tar)),
            "docker.uncompressed_digest": str(about.diff_id),
            "tarsplit.output": base64.b64encode(gzip.compress(b'{"type":2}\n')).decode(),
        })  # fmt: skip
    for name, file, content in (
        (site.image.config_digest.hex, "content", site.image.config),
        (ENCODED, "manifest.json", site.image.raw_manifest),
    ):
        (scratch / name).mkdir()
        (scratch / name / file).write_bytes(content)
    size = str(len(site.image.config))
    site.commit(f"ociimage/{site.image.config_digest.hex}", scratch / site.image.config_digest.hex,
                {"docker.size": size})  # fmt: skip
    site.commit(f"ociimage/{ENCODED}", scratch / ENCODED, {
        "docker.manifest": site.image.raw_manifest.decode(),
        "signatures": "0",
        "docker.digest": str(site.image.digest),
    })  # fmt: skip
    (scratch / "system.tar").write_bytes(layers.archive(SYSTEM))
    site.commit("host/os", scratch / "system.tar", {})
    site.ostree("refs", "--create=vendor:os/1", "host/os")


@pytest.fixture(params=["bare", "bare-user"])
def site(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    mode: str = request.param
    with tempfile.TemporaryDirectory(dir="/dev/shm", prefix="predecessor-test.") as top:
        place = Place.make(Path(top, "root"))
        for directory in ("usr/bin", "etc", "run", "usr/lib/systemd/system", "ostree"):
            (place.root / directory).mkdir(parents=True)
        (place.root / "usr/bin/runc").symlink_to("/usr/sbin/runc")
        (place.root / "usr/sbin").mkdir()
        (place.root / "usr/sbin/runc").write_bytes(Path("/usr/sbin/runc").read_bytes())
        (place.root / "usr/sbin/runc").chmod(0o755)
        made = layers.image(NAME, [layers.layer_import(LOWER), layers.layer_import(UPPER)])
        name = "ostree/repo" if mode == "bare" else "srv/repo"
        (place.root / name).parent.mkdir(exist_ok=True)
        if mode == "bare-user":
            monkeypatch.setenv("ATOMIC_OSTREE_REPO", f"/{name}")
        found = Site(place=place, repository=place.root / name, image=made)
        found.ostree("init", f"--mode={mode}")
        fill(found, Path(top))
        yield found


def refs(site: Site) -> set[str]:
    return set(site.ostree("refs").split())


def test_it_is_listed_and_found_whole(site: Site) -> None:
    (row,) = json.loads(site.atomic("images", "list", "--json"))
    assert (row["repo"], row["tag"]) == ("registry.example.com/hello", "1")
    assert row["digest"] == str(site.image.digest)
    assert row["unique_size"] > 0
    assert "no problems" in site.atomic("fsck")
    site.atomic("images", "verify", NAME)
    assert json.loads(site.atomic("images", "inspect", NAME))


def test_its_image_installs(site: Site, tmp_path: Path) -> None:
    site.atomic("install", "--system", "--name=hello", NAME)
    rootfs = site.place.root / "var/lib/containers/atomic/hello.0/rootfs"
    assert (rootfs / "hello").read_bytes() == b"hello\n"
    assert (rootfs / "etc/new").stat().st_mode & 0o7777 == (
        0o4755 if "ostree/repo" in str(site.repository) else 0o755
    )
    assert not (rootfs / "etc/gone").exists()
    site.atomic("containers", "verify", "hello")
    site.ostree("fsck")
    assert "no problems" in site.atomic("fsck")
    merged = next(ref for ref in refs(site) if ref.startswith("ocirootfs/"))
    how = "-H" if "ostree/repo" in str(site.repository) else "-UH"
    site.ostree("checkout", how, merged, site.place.root / "theirs")
    assert listing(rootfs) == listing(site.place.root / "theirs")
    site.atomic("uninstall", "hello")


def test_prune_keeps_what_is_others(site: Site) -> None:
    before = refs(site)
    site.atomic("images", "prune")
    assert refs(site) == before
    site.atomic("images", "delete", NAME)
    site.atomic("images", "prune")
    assert refs(site) == {"host/os", "vendor:os/1"}
    site.ostree("fsck")
    assert site.ostree("cat", "vendor:os/1", "/hello") == "hello\n"
    assert "No unreachable objects" in site.ostree("prune", "--refs-only", "--no-prune")


def test_an_installed_image_that_was_deleted_keeps_its_files(site: Site) -> None:
    site.atomic("install", "--system", "--name=hello", NAME)
    site.atomic("images", "delete", "--force", NAME)
    site.atomic("images", "prune")
    site.atomic("containers", "verify", "hello")
    site.ostree("fsck")
    site.atomic("uninstall", "hello")
    site.atomic("images", "prune")
    assert refs(site) == {"host/os", "vendor:os/1"}
