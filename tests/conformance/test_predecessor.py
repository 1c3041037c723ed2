# SPDX-License-Identifier: LGPL-2.1-or-later
"""A container that the predecessor installed lives on: every verb takes it as it is on the disk."""

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support import images, places
from tests.support.predecessor import CHECKOUTS, age

pytestmark = pytest.mark.conformance
MANIFEST = {
    "defaultValues": {"GREETING": "hi", "OTHER": "old default"},
    "installedFilesTemplate": ["/etc/hello.conf"],
    "renameFiles": {"/etc/plain.conf": "/etc/$NAME-plain.conf"},
}
OLD = images.EXPORTS | {
    "manifest.json": json.dumps(MANIFEST).encode(),
    "hostfs/etc/hello.conf": b"$GREETING, $OTHER, $STATE_DIRECTORY\n",
    "hostfs/etc/plain.conf": b"$GREETING\n",
    "hostfs/usr/local/lib/here": b"",
}
NEW = OLD | {
    "manifest.json": json.dumps(
        MANIFEST | {"defaultValues": {"GREETING": "hello", "OTHER": "new default"}}
    ).encode(),
    "hostfs/etc/hello.conf": b"new: $GREETING, $OTHER, $STATE_DIRECTORY\n",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """A root with the container `hello` as the predecessor left it."""

    host: places.Place
    layout: Path

    @property
    def root(self) -> Path:
        return self.host.root

    def atomic(self, *argv: str, code: int = 0) -> str:
        return self.host.said(*argv, code=code)

    def publish(self, files: Mapping[str, bytes]) -> None:
        shutil.rmtree(self.layout, ignore_errors=True)
        images.layout(self.layout, images.members(files))

    def record(self) -> dict[str, object]:
        found: dict[str, object] = json.loads(self.text(f"{CHECKOUTS}/{self.deployed()}/info"))
        return found

    def values(self) -> dict[str, str]:
        values = self.record()["values"]
        assert isinstance(values, dict)
        return values

    def text(self, path: str) -> str:
        return (self.root / path).read_text()

    def deployed(self) -> str:
        return os.readlink(self.root / CHECKOUTS / "hello").rpartition("/")[2]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = Site(host=places.Place.make(tmp_path / "root"), layout=tmp_path / "hello")
    for directory in ("usr/bin", "etc", "run", "usr/lib/systemd/system", "srv"):
        (made.root / directory).mkdir(parents=True, exist_ok=True)
    (made.root / "usr/bin/runc").symlink_to(str(shutil.which("runc")))
    made.publish(OLD)
    values = ("--set=GREETING=mine", "--set=STATE_DIRECTORY=/srv")
    made.atomic("install", "--system", *values, f"oci:{made.layout}")
    age(made.root, "hello")
    yield made


def test_it_is_listed(site: Site) -> None:
    (listed,) = json.loads(site.atomic("containers", "list", "--all", "--json"))
    assert (listed["name"], listed["image_name"]) == ("hello", f"oci:{site.layout}")
    assert json.loads(site.atomic("containers", "verify", "--json", "hello")) == [
        {"name": "hello", "differences": [], "repaired": [], "left": [], "recorded": False}
    ]


def test_its_files_are_repaired(site: Site) -> None:
    rootfs = site.root / CHECKOUTS / "hello.0/rootfs"
    (rootfs / "hello").unlink()
    site.atomic("containers", "verify", "hello", code=5)
    site.atomic("containers", "verify", "--repair", "hello")
    assert (rootfs / "hello").read_text() == "hello\n"
    assert (rootfs / "exports/hostfs/etc/plain.conf").exists()


def test_nothing_new_is_no_update(site: Site) -> None:
    assert site.atomic("containers", "update", "hello") == "Latest version already installed.\n"
    assert site.deployed() == "hello.0"


def test_an_update_keeps_what_the_user_chose_and_no_more(site: Site) -> None:
    uuid = site.values()["UUID"]
    site.publish(NEW)
    site.atomic("containers", "update", "hello")
    record = site.record()
    assert site.deployed() == "hello.1"
    assert record["user-values"] == {"GREETING": "mine", "STATE_DIRECTORY": "/srv"}
    assert site.values()["UUID"] == uuid
    assert site.text("etc/hello.conf") == "new: mine, new default, /srv\n"
    assert site.text("etc/hello-plain.conf") == "$GREETING\n"
    assert "/srv/hello" in site.text("etc/tmpfiles.d/hello.conf")


def test_values_are_set_and_unset(site: Site) -> None:
    site.atomic("containers", "update", "hello", "--unset=GREETING", "--set=OTHER=x")
    assert site.record()["user-values"] == {"OTHER": "x", "STATE_DIRECTORY": "/srv"}
    assert site.text("etc/hello.conf") == "hi, x, /srv\n"


def test_the_way_back_and_forth(site: Site) -> None:
    site.publish(NEW)
    site.atomic("containers", "update", "hello")
    (site.root / "etc/hello-plain.conf").write_text("changed by hand\n")
    site.atomic("containers", "rollback", "hello")
    assert site.deployed() == "hello.0"
    assert site.text("etc/hello.conf") == "mine, old default, /srv\n"
    assert site.text("etc/hello-plain.conf") == "changed by hand\n"
    site.atomic("containers", "rollback", "hello")
    assert site.text("etc/hello.conf") == "new: mine, new default, /srv\n"
    site.atomic("containers", "rollback", "hello")
    site.atomic("containers", "update", "hello")  # what the user chose is not lost on the way
    assert site.record()["user-values"] == {"GREETING": "mine", "STATE_DIRECTORY": "/srv"}


def test_another_name_for_the_same_image(site: Site, tmp_path: Path) -> None:
    shutil.copytree(site.layout, tmp_path / "moved")
    site.atomic("containers", "update", "hello", f"--rebase=oci:{tmp_path / 'moved'}")
    assert site.deployed() == "hello.0"
    site.atomic("containers", "update", "hello", "--set=OTHER=x")
    assert site.record()["user-values"] == {
        "GREETING": "mine", "OTHER": "x", "STATE_DIRECTORY": "/srv",
    }  # fmt: skip
    assert site.record()["source"] == f"oci:{tmp_path / 'moved'}"


@pytest.mark.parametrize("files", [OLD, NEW], ids=["as it was", "updated"])
def test_nothing_of_it_stays(files: Mapping[str, bytes], site: Site) -> None:
    site.publish(files)
    site.atomic("containers", "update", "hello")
    site.atomic("uninstall", "hello")
    left = [str(path) for path in site.root.rglob("*hello*") if ".storage" not in path.parts]
    assert left == []
