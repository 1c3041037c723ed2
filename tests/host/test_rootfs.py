# SPDX-License-Identifier: LGPL-2.1-or-later
"""Containers of a real systemd that run from one read-only mount, which two names share.

The tests run in the order of the file.
"""

import pytest

from tests.host.host import Host
from tests.host.service import CHECKOUTS, atomic
from tests.host.sharing import assert_read_only, export, make_layouts, make_mount_points, version

pytestmark = pytest.mark.usefixtures("base")
MOUNT = """[Mount]
What=/export
Where=/srv/shared
Type=none
Options=bind,ro
"""
NAMES = ("one", "two")


def exported(host: Host) -> str:
    """Names, sizes, owners and times of all that is exported."""
    return host.run(["find", "/export", "-printf", "%p %s %m %U %T@ %C@\n"]).stdout


@pytest.fixture(scope="module")
def ready(host: Host, tmp_path_factory: pytest.TempPathFactory) -> Host:
    """Two versions are exported, and mounted read-only at /srv/shared by a unit."""
    layouts = tmp_path_factory.mktemp("layouts")
    make_layouts(layouts)
    export(host, layouts)
    host.write("/etc/systemd/system/srv-shared.mount", MOUNT)
    host.run(["systemctl", "daemon-reload"])
    host.run(["systemctl", "start", "srv-shared.mount"])
    make_mount_points(host)
    return host


def test_two_containers_run_from_it(ready: Host) -> None:
    before = exported(ready)
    for name in NAMES:
        atomic(ready, "install", "--system", "--now", "-n", name, "--rootfs=/srv/shared/1",
               "oci:/srv/images/1")  # fmt: skip
    for name in NAMES:
        assert version(ready, name) == "1"
        assert ready.systemctl_show(f"{name}.service", "ActiveState") == {"ActiveState": "active"}
        assert_read_only(ready, name)
        atomic(ready, "containers", "verify", name)
    assert exported(ready) == before
    kept = ready.run(["find", f"{CHECKOUTS}/.storage", "-name", "*.file", "-size", "+100k"])
    assert kept.stdout == ""


def test_an_update_goes_to_another_directory_and_back(ready: Host) -> None:
    ready.run(["sh", "-c", "rm -rf /srv/images/1; cp -r /srv/images/2 /srv/images/1"])
    refused = atomic(ready, "containers", "update", "one", code=None)
    assert refused.returncode == 5
    assert "/srv/shared/1 is not the root file system of" in refused.stderr
    assert version(ready, "one") == "1"
    atomic(ready, "containers", "update", "one", "--settle=1", "--rootfs=/srv/shared/2")
    assert (version(ready, "one"), version(ready, "two")) == ("2", "1")
    atomic(ready, "containers", "rollback", "one", "--settle=1")
    assert version(ready, "one") == "1"
    atomic(ready, "containers", "rollback", "one", "--settle=1")
    assert version(ready, "one") == "2"


def test_after_a_reboot_the_units_wait_for_the_mount(ready: Host) -> None:
    ready.reboot()
    for name, number in zip(NAMES, ("2", "1"), strict=True):
        assert version(ready, name) == number
        shown = ready.systemctl_show(f"{name}.service", "Requires")
        assert "srv-shared.mount" in shown["Requires"].split()
    assert ready.run(["systemctl", "is-active", "srv-shared.mount"]).stdout == "active\n"


def test_one_goes_and_the_other_stays(ready: Host) -> None:
    before = exported(ready)
    atomic(ready, "uninstall", "one")
    assert version(ready, "two") == "1"
    atomic(ready, "uninstall", "two")
    atomic(ready, "images", "prune")
    assert exported(ready) == before
    left = ready.run(["sh", "-c", f"ls {CHECKOUTS}; find {CHECKOUTS}/.storage -name '*.commit*'"])
    assert left.stdout == ""
