# SPDX-License-Identifier: LGPL-2.1-or-later
"""What becomes of a container that runs from a shared directory: updated, verified, audited."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conformance.fleet import Fleet, make_fleet
from tests.support import layers
from tests.support.layers import listing
from tests.support.places import CHECKOUTS
from tests.support.predecessor import age

pytestmark = pytest.mark.conformance


@pytest.fixture
def fleet() -> Iterator[Fleet]:
    """Version 1 is installed on the host `a`; its directory is `one`, and that of 2 `two`."""
    with make_fleet() as made:
        made.publish("1")
        made.prepare("one")
        (made.export / "current").symlink_to("one")
        code, _, talk = made.install("a", "current")
        assert code == 0, talk
        made.publish("2")
        made.prepare("two")
        yield made


def update(fleet: Fleet, *words: str) -> tuple[int, str, str]:
    return fleet.call("a", "containers", "update", "hello", *words)


def rootfs(fleet: Fleet) -> str:
    """Where the current deployment runs from, by its link and by its config.json."""
    current = fleet.hosts["a"].root / os.readlink(fleet.hosts["a"].root / CHECKOUTS / "hello")[1:]
    path = os.readlink(current / "rootfs")
    assert json.loads((current / "config.json").read_text())["root"]["path"] == path
    unit = (fleet.hosts["a"].root / "etc/systemd/system/hello.service").read_text()
    assert unit.endswith(f"RequiresMountsFor={path}\n")
    return path


def test_to_another_directory_and_back(fleet: Fleet) -> None:
    assert rootfs(fleet) == "/srv/export/one"
    code, out, talk = update(fleet, "--rootfs=/srv/export/two")
    assert (code, "Extracting to /var/lib/containers/atomic/hello.1" in out) == (0, True), talk
    assert rootfs(fleet) == "/srv/export/two"
    assert fleet.hosts["a"].alone("run", "hello", "/bin/cat", "/version") == "2\n"
    assert update(fleet)[:2] == (0, "Latest version already installed.\n")
    fleet.hosts["a"].said("containers", "rollback", "hello")
    assert rootfs(fleet) == "/srv/export/one"
    assert fleet.hosts["a"].alone("run", "hello", "/bin/cat", "/version") == "1\n"
    fleet.hosts["a"].said("containers", "rollback", "hello")
    assert rootfs(fleet) == "/srv/export/two"
    fleet.hosts["a"].check()


def test_a_link_that_is_switched(fleet: Fleet) -> None:
    code, _, talk = update(fleet)
    assert (code, "/srv/export/one is not the root file system of hello:latest" in talk) == (
        5,
        True,
    )
    summary = fleet.call("a", "containers", "update", "--all")
    assert (summary[0], "Not updated" in summary[1]) == (0, True)
    (fleet.export / "current").unlink()
    (fleet.export / "current").symlink_to("two")
    assert fleet.hosts["a"].said("containers", "verify", "hello") == "hello: as it was installed\n"
    assert update(fleet)[0] == 0
    assert rootfs(fleet) == "/srv/export/two"
    fleet.hosts["a"].said("containers", "rollback", "hello")
    assert rootfs(fleet) == "/srv/export/one"


def test_only_the_values(fleet: Fleet) -> None:
    code, out, talk = update(fleet, "--no-pull", "--set", "GREETING=ho")
    assert (code, "Copying blob" in out) == (0, False), talk
    assert rootfs(fleet) == "/srv/export/one"
    (row,) = json.loads(fleet.hosts["a"].said("containers", "list", "--all", "--json"))
    assert (row["command"], row["remote"]) == ("/hello ho", "/srv/export/current")


def test_only_new_layers_are_fetched(fleet: Fleet) -> None:
    update(fleet, "--rootfs=/srv/export/two")
    fleet.publish("1")
    (fleet.layout / "blobs").rename(fleet.layout / "kept")
    (fleet.layout / "blobs/sha256").mkdir(parents=True)
    for blob in (fleet.layout / "kept/sha256").iterdir():
        if blob.stat().st_size < 10_000:  # all but the layer
            (fleet.layout / "blobs/sha256" / blob.name).write_bytes(blob.read_bytes())
    code, out, talk = update(fleet, "--rootfs=/srv/export/one")
    assert (code, "Copying blob" in out) == (0, False), talk


def test_nothing_goes_back_to_files_that_have_changed(fleet: Fleet) -> None:
    update(fleet, "--rootfs=/srv/export/two")
    (fleet.export / "one/version").write_text("9\n")
    code, _, talk = fleet.call("a", "containers", "rollback", "hello")
    assert (code, "changed /version" in talk) == (5, True)
    assert rootfs(fleet) == "/srv/export/two"


def test_between_elsewhere_and_here(fleet: Fleet) -> None:
    host = fleet.hosts["a"]
    host.said("uninstall", "hello")
    host.atomic("install", fleet.image)
    code, _, talk = update(fleet, "--rootfs=/srv/export/two")
    assert code == 0, talk
    assert rootfs(fleet) == "/srv/export/two"
    host.said("containers", "rollback", "hello")
    assert (host.root / CHECKOUTS / "hello.0/rootfs/version").read_text() == "2\n"
    assert "as it was installed" in host.said("containers", "verify", "hello")


def test_a_dry_run_shows_it_and_changes_nothing(fleet: Fleet) -> None:
    before = fleet.seen("a")
    code, out, _ = update(fleet, "--rootfs=/srv/export/two", "--dry-run")
    assert code == 0
    assert "point /var/lib/containers/atomic/hello.1/rootfs to /srv/export/two" in out
    lines = out.splitlines()
    at = lines.index("    -RequiresMountsFor=/srv/export/one")
    assert lines[at + 1] == "    +RequiresMountsFor=/srv/export/two"
    assert "Extracting" not in out
    assert fleet.seen("a") == before


def test_verify_names_what_differs_and_repairs_nothing_there(fleet: Fleet) -> None:
    host = fleet.hosts["a"]
    (fleet.export / "one/hello").write_text("other")
    (fleet.export / "one/secret").unlink()
    (fleet.export / "one/data/inside").mkdir()
    before = listing(fleet.export)
    (host.root / "etc/systemd/system/hello.service").write_text("[Service]\n")
    code, out, talk = fleet.call("a", "containers", "verify", "--repair", "hello")
    assert code == 5
    assert out.splitlines() == [
        "hello: added: /srv/export/one/data/inside",
        "hello: changed: /srv/export/one/hello",
        "hello: missing: /srv/export/one/secret",
        "hello: restored /etc/systemd/system/hello.service",
    ]
    assert "/srv/export/one is not of this host, and is repaired where it was made" in talk
    assert listing(fleet.export) == before
    assert rootfs(fleet) == "/srv/export/one"


def test_its_configuration_is_rendered_again(fleet: Fleet) -> None:
    config = fleet.hosts["a"].root / CHECKOUTS / "hello.0/config.json"
    before = config.read_bytes()
    config.write_bytes(before + b"\n")
    said = fleet.hosts["a"].said("containers", "verify", "--repair", "hello")
    assert said == "hello: restored /var/lib/containers/atomic/hello.0/config.json\n"
    assert config.read_bytes() == before


def test_verify_of_a_directory_that_is_gone(fleet: Fleet) -> None:
    (fleet.export / "one").rename(fleet.export / "elsewhere")
    code, out, _ = fleet.call("a", "containers", "verify", "hello")
    assert (code, out) == (5, "hello: missing: /srv/export/one\n")
    assert fleet.call("a", "containers", "status", "hello")[0] == 3
    assert fleet.call("a", "uninstall", "hello")[0] == 0


def test_the_outline_is_judged_kept_and_repaired(fleet: Fleet) -> None:
    host = fleet.hosts["a"]
    (row,) = json.loads(host.said("trust", "audit", "--json"))
    assert row["accepted"] is True
    host.said("images", "prune")
    assert "as it was installed" in host.said("containers", "verify", "hello")
    trees = [path for path in host.repository.rglob("*.dirtree") if b"version" in path.read_bytes()]
    fleet.publish("1")
    for tree in trees:
        tree.write_bytes(b"nonsense")
    host.said("fsck", code=5)
    host.said("fsck", "--repair")
    host.check()
    assert "as it was installed" in host.said("containers", "verify", "hello")
    host.said("images", "prune")
    assert "as it was installed" in host.said("containers", "verify", "hello")


def test_the_policy_of_today(fleet: Fleet) -> None:
    fleet.policy.write_text('{"default": [{"type": "reject"}]}')
    assert update(fleet)[0] == 6
    assert update(fleet, "--no-pull", "--set=GREETING=ho")[0] == 6
    (row,) = json.loads(fleet.call("a", "trust", "audit", "--json")[1])
    assert row["accepted"] is False


def test_the_whole_image_can_come_later(fleet: Fleet) -> None:
    host = fleet.hosts["a"]
    fleet.publish("1")
    host.atomic("pull", fleet.image)
    host.check()
    assert fleet.hosts["a"].checked_out("hello") == listing(fleet.export / "one")
    assert "as it was installed" in host.said("containers", "verify", "hello")
    host.said("images", "delete", "--force", "hello")
    host.said("images", "prune")
    host.check()
    assert "as it was installed" in host.said("containers", "verify", "hello")


def test_several_layers_are_merged(fleet: Fleet, tmp_path: Path) -> None:
    base = [*fleet.content("3"), layers.file("gone", b"x"), layers.directory("old/inside")]
    top = [
        layers.file(".wh.gone"), layers.file("old/.wh..wh..opq"),
        layers.hard_link("hello-again", "hello"), layers.symlink("exports/aside", "../version"),
    ]  # fmt: skip
    contents = (base, top)
    stored = layers.image("hello", [layers.layer_import(one) for one in contents])
    fleet.publish("3")
    layers.write_layout(tmp_path / "two", stored, [layers.archive(one) for one in contents])
    fleet.builder.atomic("pull", f"oci:{tmp_path}/two")
    fleet.builder.atomic("images", "checkout", "--copy", "two", fleet.export / "merged")
    code, out, talk = fleet.call(
        "b", "install", "--rootfs=/srv/export/merged", f"oci:{tmp_path}/two"
    )
    assert (code, out.count("Copying blob")) == (0, 2), talk
    fleet.hosts["b"].check()
    assert "as it was installed" in fleet.hosts["b"].said("containers", "verify", "two")


def test_one_of_the_predecessors(fleet: Fleet) -> None:
    host = fleet.hosts["a"]
    host.said("uninstall", "hello")
    host.said("images", "prune")
    fleet.publish("1")
    host.atomic("pull", fleet.image)
    (host.root / "srv/own").mkdir()
    host.atomic("images", "checkout", "--copy", "hello", host.root / "srv/own/rootfs")
    assert fleet.call("a", "install", "--rootfs=/srv/own", "ostree:hello")[0] == 0
    before = listing(host.root / "srv/own")
    age(host.root, "hello")
    assert "as it was installed" in host.said("containers", "verify", "hello")
    code, _, talk = update(fleet, "--no-pull", "--set", "GREETING=ho")
    assert code == 0, talk
    assert rootfs(fleet) == "/srv/own/rootfs"
    code, _, talk = fleet.call("a", "containers", "rollback", "hello")
    assert code == 0, talk
    assert "as it was installed" in host.said("containers", "verify", "hello")
    (host.root / "srv/own/rootfs/version").write_text("9\n")
    assert fleet.call("a", "containers", "rollback", "hello", "--to=1")[0] == 5
    (host.root / "srv/own/rootfs/version").write_text("1\n")
    host.said("uninstall", "hello")
    assert listing(host.root / "srv/own") == before
