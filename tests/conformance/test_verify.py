# SPDX-License-Identifier: LGPL-2.1-or-later
"""`atomic containers verify` names what differs from the installation, and puts it back."""

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from atomic_sys.engine.journal import Journal
from atomic_sys.engine.journal_format import Entry, Header
from atomic_sys.engine.operations import RemoveTree, SwapLink
from atomic_sys.model.names import ContainerName
from tests.support import images, layers, places
from tests.support.layers import listing

pytestmark = pytest.mark.conformance


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """A root with the container `hello`, installed from a layout."""

    host: places.Place
    layout: Path

    @property
    def root(self) -> Path:
        return self.host.root

    @property
    def rootfs(self) -> Path:
        return self.root / "var/lib/containers/atomic/hello.0/rootfs"

    def atomic(self, *argv: str, code: int = 0) -> str:
        return self.host.said(*argv, code=code)

    def differences(self) -> list[tuple[str, str]]:
        (answer,) = json.loads(self.atomic("containers", "verify", "--json", "hello", code=5))
        return [(one["path"].partition("/hello.0/")[2] or one["path"], one["what"])
                for one in answer["differences"]]  # fmt: skip


@pytest.fixture
def site() -> Iterator[Site]:
    with tempfile.TemporaryDirectory(dir="/dev/shm", prefix="verify-test.") as path:
        made = Site(host=places.Place.make(Path(path, "root")), layout=Path(path, "hello"))
        for directory in ("usr/bin", "etc", "run", "usr/lib/systemd/system"):
            (made.root / directory).mkdir(parents=True)
        (made.root / "usr/bin/runc").symlink_to(str(shutil.which("runc")))
        files = [
            *images.members(),
            layers.directory("usr/lib", mode=0o750, uid=3),
            layers.symlink("usr/link", "lib", uid=4),
            layers.file("usr/empty"),
        ]
        images.layout(made.layout, files)
        made.atomic("install", "--system", f"oci:{made.layout}")
        yield made


def test_a_fresh_installation_is_as_it_was(site: Site) -> None:
    assert site.atomic("containers", "verify", "hello") == "hello: as it was installed\n"
    assert json.loads(site.atomic("containers", "verify", "--all", "--json")) == [
        {"name": "hello", "differences": [], "repaired": [], "left": [], "recorded": True}
    ]


def test_mount_points_of_the_runtime_are_no_difference(site: Site) -> None:
    (site.rootfs / "data").mkdir()
    site.atomic("containers", "verify", "hello")


def write_into(path: Path) -> None:
    with path.open("r+b") as stream:
        stream.write(b"J")


def replace_by_directory(path: Path) -> None:
    path.unlink()
    path.mkdir()
    (path / "inside").write_text("x")


@pytest.mark.parametrize(
    ("path", "damage", "what"),
    [
        ("hello", write_into, "changed"),
        ("hello", Path.unlink, "missing"),
        ("hello", replace_by_directory, "changed"),
        ("hello", lambda path: path.chmod(0o4777), "changed"),
        ("usr/lib", lambda path: path.chmod(0o777), "changed"),
        ("usr/lib", lambda path: os.chown(path, 0, 0), "changed"),
        ("usr/lib", Path.rmdir, "missing"),
        ("usr", shutil.rmtree, "missing"),
        ("usr/link", Path.unlink, "missing"),
        ("usr/link", lambda path: os.chown(path, 0, 0, follow_symlinks=False), "changed"),
        ("usr/empty", lambda path: path.write_text("now full"), "changed"),
        ("usr/new", lambda path: path.write_text("nobody's"), "added"),
        ("usr/tree", lambda path: (path / "deep").mkdir(parents=True), "added"),
    ],
)
def test_what_differs_in_the_rootfs_is_named_and_put_back(
    site: Site, path: str, damage: Callable[[Path], object], what: str
) -> None:
    before = listing(site.rootfs)
    damage(site.rootfs / path)
    assert (f"rootfs/{path}", what) in site.differences()
    assert "restored" in site.atomic("containers", "verify", "--repair", "hello")
    assert listing(site.rootfs) == before
    site.atomic("containers", "verify", "hello")
    site.atomic("fsck")


@pytest.mark.parametrize(
    "path",
    ["etc/systemd/system/hello.service", "etc/tmpfiles.d/hello.conf", "etc/hello.conf",
     "usr/local/bin/hello"],
)  # fmt: skip
@pytest.mark.parametrize("damage", [Path.unlink, lambda path: path.write_text("other")])
def test_host_files_are_put_back(site: Site, path: str, damage: Callable[[Path], object]) -> None:
    file = site.root / path
    before = file.read_bytes(), file.stat().st_mode
    damage(file)
    assert site.differences() == [(f"/{path}", "changed or missing")]
    site.atomic("containers", "verify", "--repair", "hello")
    assert (file.read_bytes(), file.stat().st_mode) == before


@pytest.mark.parametrize("name", ["config.json", "hello.service", "tmpfiles-hello.conf"])
@pytest.mark.parametrize("damage", [Path.unlink, lambda path: path.write_text("{}")])
def test_rendered_files_are_rendered_again(
    site: Site, name: str, damage: Callable[[Path], object]
) -> None:
    before = listing(site.root / "var/lib/containers/atomic/hello.0")
    damage(site.rootfs.with_name(name))
    assert (name, "changed or missing") in site.differences()
    site.atomic("containers", "verify", "--repair", "hello")
    assert listing(site.root / "var/lib/containers/atomic/hello.0") == before
    site.atomic("containers", "verify", "hello")


def test_a_unit_that_was_changed_in_both_places_is_found(site: Site) -> None:
    unit = site.root / "etc/systemd/system/hello.service"
    before = unit.read_bytes()
    for path in (unit, site.rootfs.with_name("hello.service")):
        path.write_text("[Service]\nExecStart=/bin/evil\n")
    assert site.differences() == [("hello.service", "changed or missing")]
    site.atomic("containers", "verify", "--repair", "hello")
    site.atomic("containers", "verify", "hello")
    assert (unit.read_bytes(), site.rootfs.with_name("hello.service").read_bytes()) == (
        before, before,
    )  # fmt: skip


def test_what_cannot_be_rendered_again_is_not_put_back(site: Site) -> None:
    config = site.rootfs.with_name("config.json")
    config.write_text("{}")
    site.atomic("-y", "images", "delete", "--force", "--all")
    assert site.atomic("containers", "verify", "--repair", "hello", code=5).endswith(
        "config.json\n"
    )
    assert config.read_text() == "{}"


def test_the_predecessor_recorded_nothing_of_its_config(site: Site) -> None:
    info = site.rootfs.with_name("info")
    record = json.loads(info.read_text())
    del record["checksums"], record["user-values"]
    info.write_text(json.dumps(record))
    site.rootfs.with_name("config.json").write_text("{}")
    (answer,) = json.loads(site.atomic("containers", "verify", "--json", "hello"))
    assert (answer["differences"], answer["recorded"]) == ([], False)


def test_the_whole_rootfs_is_put_back(site: Site) -> None:
    before = listing(site.rootfs)
    shutil.rmtree(site.rootfs)
    site.atomic("containers", "verify", "--repair", "--all")
    assert listing(site.rootfs) == before


def test_what_cannot_be_put_back_is_still_named(site: Site) -> None:
    write_into(site.rootfs / "hello")
    site.layout.rename(site.layout.with_name("gone"))
    text, talk = site.host.atomic("containers", "verify", "--repair", "hello", code=5)
    assert "hello: changed: " in text
    assert "could not repair" in talk
    assert "No such file or directory" in talk


def test_what_an_interrupted_command_left_is_taken_back_first(site: Site) -> None:
    """An update died behind the swap: what is verified is what the name leads to without it."""
    checkouts = "/var/lib/containers/atomic"
    here = site.root / checkouts.lstrip("/")
    (here / "hello.1").mkdir()
    (here / "hello").unlink()
    (here / "hello").symlink_to("hello.1")
    steps = (
        RemoveTree(directory=checkouts, name="hello.1"),
        SwapLink(directory=checkouts, name="hello", target=f"{checkouts}/hello.0"),
    )
    root = os.open(site.root, os.O_PATH | os.O_DIRECTORY)
    try:
        journal = Journal(root, checkouts, ContainerName.parse("hello"))
        journal.begin(Header(what="update"))
        for step in steps:
            journal.append(Entry(undo=step))
        journal.close()
    finally:
        os.close(root)
    assert site.atomic("containers", "verify", "hello") == "hello: as it was installed\n"
    assert os.readlink(here / "hello").endswith("hello.0")
    assert not (here / "hello.1").exists()


def test_usage(site: Site) -> None:
    site.atomic("containers", "verify", code=2)
    site.atomic("containers", "verify", "nobody", code=4)


def test_fsck_compares_deployments_too(site: Site) -> None:
    assert ", 1 deployment: no problems" in site.atomic("fsck")
    (site.rootfs / "usr/empty").write_text("now full")  # a file of its own: no object is damaged
    (site.rootfs / "usr/new").write_text("nobody's")
    answer = json.loads(site.atomic("fsck", "--json", code=5))
    assert (answer["damaged"], answer["deployments"]) == ([], 1)
    (problem,) = answer["problems"]
    deployment = "/var/lib/containers/atomic/hello.0"
    assert problem == (
        f"{deployment}: not as it was checked out: {deployment}/rootfs/usr/new (added),"
        f" {deployment}/rootfs/usr/empty (changed)"
    )
    assert f"Repaired {deployment}" in site.atomic("fsck", "--repair")
    site.atomic("containers", "verify", "hello")


def test_fsck_repairs_the_object_and_the_deployment(site: Site) -> None:
    write_into(site.rootfs / "hello")
    answer = json.loads(site.atomic("fsck", "--json", code=5))
    assert len(answer["damaged"]) == 1
    assert any("rootfs/hello (changed)" in line for line in answer["problems"])
    said = site.atomic("fsck", "--repair")
    assert "Repaired hello:latest" in said
    assert "Repaired /var/lib/containers/atomic/hello.0" in said
    assert (site.rootfs / "hello").read_bytes() == b"hello\n"
    site.atomic("fsck")


def test_fsck_hashes_what_is_no_object_any_more(site: Site) -> None:
    copy = site.rootfs / "copy"
    shutil.copy2(site.rootfs / "hello", copy)
    copy.rename(site.rootfs / "hello")  # the same content, in another inode
    site.atomic("fsck")
    write_into(site.rootfs / "hello")
    assert "rootfs/hello (changed)" in site.atomic("fsck", code=5)
    site.atomic("fsck", "--repair")
    assert (site.rootfs / "hello").stat().st_nlink > 1
