# SPDX-License-Identifier: LGPL-2.1-or-later
"""`install --rootfs`: hosts that run from one read-only directory, which they do not believe."""

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.conformance.fleet import Fleet, make_fleet
from tests.support import layers
from tests.support.layers import listing

pytestmark = pytest.mark.conformance
CHECKOUTS = "var/lib/containers/atomic"


@pytest.fixture
def fleet() -> Iterator[Fleet]:
    with make_fleet() as made:
        made.publish("1")
        made.prepare("one")
        yield made


def damaged(fleet: Fleet) -> tuple[int, str]:
    code, _, talk = fleet.install("a", "one")
    return code, talk


def test_hosts_share_one_directory(fleet: Fleet) -> None:
    before = listing(fleet.export)
    for name in ("a", "b"):
        host = fleet.hosts[name]
        code, out, talk = fleet.install(name, "one")
        assert (code, "Extracting to /var/lib/containers/atomic/hello.0" in out) == (0, True), talk
        deployment = host.root / CHECKOUTS / "hello.0"
        assert os.readlink(deployment / "rootfs") == "/srv/export/one"
        config = json.loads((deployment / "config.json").read_text())
        assert config["root"] == {"path": "/srv/export/one", "readonly": True}
        unit = (host.root / "etc/systemd/system/hello.service").read_text()
        assert unit.endswith("\n[Unit]\nRequiresMountsFor=/srv/export/one\n")
        (row,) = json.loads(host.said("containers", "list", "--all", "--json"))
        assert row["remote"] == "/srv/export/one"
        assert host.said("containers", "verify", "hello") == "hello: as it was installed\n"
        assert host.alone("run", "hello", "/bin/cat", "/version") == "1\n"
        host.check()
        contents = [path for path in host.repository.rglob("*.file") if not path.is_symlink()]
        assert not any(path.stat().st_size > 100_000 for path in contents)
        host.said("uninstall", "hello")
        host.said("images", "prune")
        assert list(host.repository.rglob("*.commit*")) == []
        assert list(host.repository.rglob("*.file")) == []
    assert listing(fleet.export) == before


def test_at_the_same_time(fleet: Fleet) -> None:
    before = listing(fleet.export)
    with ThreadPoolExecutor(2) as pool:
        install = ("install", "--system", "--rootfs=/srv/export/one", fleet.image)
        list(pool.map(lambda host: host.alone(*install), fleet.hosts.values()))
    for host in fleet.hosts.values():
        host.check()
        assert host.alone("run", "hello", "/bin/cat", "/version") == "1\n"
    assert listing(fleet.export) == before


def test_the_units_are_good(fleet: Fleet) -> None:
    fleet.install("a", "one")
    unit = fleet.hosts["a"].root / "etc/systemd/system/hello.service"
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", unit], capture_output=True, text=True, check=False
    )
    assert "RequiresMountsFor" not in done.stderr


def rewrite(path: Path) -> None:
    path.write_bytes(b"other")


def replace_by_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def lead_elsewhere(path: Path) -> None:
    shutil.rmtree(path)
    path.symlink_to("/etc")


@pytest.mark.parametrize(
    ("path", "damage", "what"),
    [
        ("hello", rewrite, "changed /hello"),
        ("hello", lambda path: path.chmod(0o4755), "changed /hello"),
        ("hello", lambda path: os.chown(path, 5, 5), "changed /hello"),
        ("hello", Path.unlink, "missing /hello"),
        ("hello", replace_by_pipe, "changed /hello"),
        ("added", Path.mkdir, "added /added"),
        ("link", lambda path: (path.unlink(), path.symlink_to("x")), "changed /link"),
        ("exports/config.json.template", rewrite, "changed /exports/config.json.template"),
        ("exports/hostfs/etc/hello.conf", Path.unlink, "missing /exports/hostfs/etc/hello.conf"),
        ("etc/passwd", rewrite, "changed /etc/passwd"),
        ("etc/passwd", replace_by_pipe, "changed /etc/passwd"),
        ("etc", lead_elsewhere, "changed /etc"),
        ("exports", shutil.rmtree, "missing /exports"),
    ],
)
def test_other_files_are_refused(
    fleet: Fleet, path: str, damage: Callable[[Path], object], what: str
) -> None:
    before = fleet.seen("a")
    damage(fleet.export / "one" / path)
    code, talk = damaged(fleet)
    assert code == 5
    error = next(line for line in talk.splitlines() if line.startswith("atomic: "))
    assert "/srv/export/one is not the root file system of hello:latest (sha256:" in error
    assert error.endswith(f": {what}")
    assert fleet.seen("a") == before
    fleet.hosts["a"].check()


def test_another_image_is_refused(fleet: Fleet) -> None:
    fleet.publish("2")
    code, talk = damaged(fleet)
    assert (code, "changed /version" in talk) == (5, True)
    fleet.prepare("two")
    assert fleet.install("a", "two")[0] == 0


def test_many_differences_are_one_line(fleet: Fleet) -> None:
    for number in range(20):
        (fleet.export / f"one/new{number:02}").touch()
    _, talk = damaged(fleet)
    assert "added /new00, added /new01, added /new02 and more\n" in talk


def test_the_policy_comes_first(fleet: Fleet) -> None:
    fleet.policy.write_text('{"default": [{"type": "reject"}]}')
    code, out, talk = fleet.install("a", "one")
    assert (code, out) == (6, "")
    assert "comparing" not in talk


@pytest.mark.parametrize("path", ["/srv/export/nowhere", "/srv/export/one/hello"])
def test_no_directory(fleet: Fleet, path: str) -> None:
    code, _, talk = fleet.call("a", "install", "--rootfs", path, fleet.image)
    assert (code, f"--rootfs {path}: the remote rootfs does not exist" in talk) == (1, True)


def test_mount_points_must_be_there_where_nothing_can_be_made(fleet: Fleet) -> None:
    content = fleet.content("1")
    fleet.publish("1", [one for one in content if one[0].name != "data"])
    fleet.prepare("bare")
    code, _, talk = fleet.install("a", "bare")
    assert (code, "the runtime would have to make /data in it" in talk) == (1, True)
    assert "hint: in it, where it can be written to: mkdir -p data; that is no difference" in talk
    (fleet.export / "bare/data").mkdir()
    assert fleet.install("a", "bare")[0] == 0
    assert "as it was installed" in fleet.hosts["a"].said("containers", "verify", "hello")


def test_where_it_can_be_written_the_runtime_makes_them(fleet: Fleet) -> None:
    content = fleet.content("1")
    fleet.publish("1", [one for one in content if one[0].name != "data"])
    host = fleet.hosts["a"]
    host.atomic("pull", fleet.image)
    host.atomic("images", "checkout", "--copy", "hello", host.root / "srv/own")
    code, _, talk = fleet.call("a", "install", "--rootfs", "/srv/own", fleet.image)
    assert (code, "the runtime will make /data in /srv/own" in talk) == (0, True)


def test_an_image_of_the_store_needs_no_source(fleet: Fleet) -> None:
    host = fleet.hosts["a"]
    host.atomic("pull", fleet.image)
    fleet.layout.rename(fleet.layout.with_name("gone"))
    done = fleet.call("a", "install", "--rootfs", "/srv/export/one", "ostree:hello")
    assert (done[0], "Copying blob" in done[1]) == (0, False)
    assert "as it was installed" in host.said("containers", "verify", "hello")


def test_a_deployment_can_be_shared_and_then_stays(fleet: Fleet) -> None:
    host = fleet.hosts["a"]
    fleet.publish("1", fleet.content("1", host_files=False))
    host.atomic("install", fleet.image)
    directory = "/var/lib/containers/atomic/hello"
    assert fleet.call("a", "install", "-n", "other", "--rootfs", directory, "--set",
                      "GREETING=ho", "ostree:hello")[0] == 0  # fmt: skip
    assert os.readlink(host.root / CHECKOUTS / "other.0/rootfs") == f"{directory}.0/rootfs"
    code, _, talk = fleet.call("a", "uninstall", "hello")
    assert (code, "has the root file system of other" in talk) == (1, True)
    for version in ("2", "3"):
        fleet.publish(version, fleet.content(version, host_files=False))
        host.atomic("containers", "update", "hello")
    assert (host.root / CHECKOUTS / "hello.0/rootfs/version").read_text() == "1\n"
    assert "as it was installed" in host.said("containers", "verify", "other")
    host.atomic("uninstall", "other")
    assert (host.root / CHECKOUTS / "hello.0/rootfs/version").read_text() == "1\n"
    host.atomic("uninstall", "hello")


def test_nothing_for_an_image_without_a_service(fleet: Fleet) -> None:
    files = [layers.file("exports/manifest.json", b'{"noContainerService": true}')]
    fleet.publish("1", files)
    fleet.prepare("host-files")
    code, _, talk = fleet.install("a", "host-files")
    assert (code, "has no service that could run from there" in talk) == (2, True)
