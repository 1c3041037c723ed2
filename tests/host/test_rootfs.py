# SPDX-License-Identifier: LGPL-2.1-or-later
"""Containers of a real systemd that run from one read-only mount, which two names share.

The tests run in the order of the file.
"""

from pathlib import Path

import pytest

from tests.host.host import Host
from tests.host.service import CHECKOUTS, atomic, busybox, make_trusting
from tests.support import images, layers

pytestmark = pytest.mark.usefixtures("base")
SERVE = "trap 'exit 0' TERM; while :; do /bin/busybox sleep 1 & wait; done"
UNIT = b"""[Service]
Type=exec
ExecStart=$EXEC_START
ExecStop=$EXEC_STOP
WorkingDirectory=$DESTDIR
SuccessExitStatus=143

[Install]
WantedBy=multi-user.target
"""
MOUNT = """[Mount]
What=/export
Where=/srv/shared
Type=none
Options=bind,ro
"""
NAMES = ("one", "two")


def make_layout(directory: Path, version: str) -> None:
    content = [
        *(layers.directory(name) for name in ("proc", "dev", "sys", "run", "tmp")),
        *busybox("sh", "cat", "touch"),
        layers.file("version", version.encode()),
        layers.file("exports/service.template", UNIT),
    ]
    images.layout(directory, content, {"Cmd": ["/bin/sh", "-c", SERVE]})


def make_mount_points(host: Host) -> None:
    """What the hint of a refusal says, where the export can be written to."""
    for number in ("1", "2"):
        done = atomic(
            host, "install", f"--rootfs=/srv/shared/{number}", f"oci:/srv/images/{number}",
            code=None,
        )  # fmt: skip
        said = done.stderr.partition("hint: in it, where it can be written to: ")[2]
        commands = said.partition(";")[0]
        assert "touch etc/hosts" in commands
        host.run(["sh", "-c", f"cd /export/{number} && {commands}"])


def version(host: Host, name: str) -> str:
    """What the running container sees."""
    return host.run(["runc", "exec", name, "/bin/cat", "/version"]).stdout


def export(host: Host) -> str:
    """Names, sizes, owners and times of all that is exported."""
    return host.run(["find", "/export", "-printf", "%p %s %m %U %T@ %C@\n"]).stdout


@pytest.fixture(scope="module")
def ready(host: Host, tmp_path_factory: pytest.TempPathFactory) -> Host:
    """Two versions are exported, and mounted read-only at /srv/shared by a unit."""
    layouts = tmp_path_factory.mktemp("layouts")
    for number in ("1", "2"):
        make_layout(layouts / number, number)
    make_trusting(host, layouts, "/srv/images")
    host.path("/export").mkdir()
    for number in ("1", "2"):
        atomic(host, "--root=/", "pull", f"oci:/srv/images/{number}")
        atomic(host, "images", "checkout", "--copy", number, f"/export/{number}")
        atomic(host, "images", "delete", number)
    atomic(host, "images", "prune")
    host.path("/srv/shared").mkdir()
    host.write("/etc/systemd/system/srv-shared.mount", MOUNT)
    host.run(["systemctl", "daemon-reload"])
    host.run(["systemctl", "start", "srv-shared.mount"])
    make_mount_points(host)
    return host


def test_two_containers_run_from_it(ready: Host) -> None:
    before = export(ready)
    for name in NAMES:
        atomic(ready, "install", "--system", "--now", "-n", name, "--rootfs=/srv/shared/1",
               "oci:/srv/images/1")  # fmt: skip
    for name in NAMES:
        assert version(ready, name) == "1"
        assert ready.systemctl_show(f"{name}.service", "ActiveState") == {"ActiveState": "active"}
        written = ready.run(["runc", "exec", name, "/bin/touch", "/new"], check=False)
        assert (written.returncode, "Read-only file system" in written.stderr) == (1, True)
        atomic(ready, "containers", "verify", name)
    assert export(ready) == before
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
    before = export(ready)
    atomic(ready, "uninstall", "one")
    assert version(ready, "two") == "1"
    atomic(ready, "uninstall", "two")
    atomic(ready, "images", "prune")
    assert export(ready) == before
    left = ready.run(["sh", "-c", f"ls {CHECKOUTS}; find {CHECKOUTS}/.storage -name '*.commit*'"])
    assert left.stdout == ""
