# SPDX-License-Identifier: LGPL-2.1-or-later
"""On a real host a write by mistake fails, and all that changes deployments works as ever.

The tests run in the order of the file, on one host with the container `base`.
"""

from pathlib import Path

import pytest

from tests.host.host import Host
from tests.host.service import CHECKOUTS, IMAGE, atomic, busybox, make_trusting, publish
from tests.support import images, layers

pytestmark = pytest.mark.usefixtures("base")
SCRIPT = "trap 'exit 0' TERM; while :; do /bin/busybox sleep 1 & wait; done"


def make_layouts(directory: Path) -> None:
    """Three versions, none of which has a mount point or its working directory."""
    for version in ("one", "two", "three"):
        content = [
            *busybox("sh"),
            layers.file("etc/version", version.encode()),
            layers.file("etc/passwd", b"root:x:0:0::/:/bin/sh\n"),
        ]
        config = {"Cmd": ["/bin/sh", "-c", SCRIPT], "WorkingDir": "/work", "Volumes": {"/data": {}}}
        images.layout(directory / version, content, config)


@pytest.fixture(scope="module")
def ready(host: Host, tmp_path_factory: pytest.TempPathFactory) -> Host:
    layouts = tmp_path_factory.mktemp("layouts")
    make_layouts(layouts)
    make_trusting(host, layouts)
    host.run(["systemctl", "enable", "atomic-sys-protect.service"])
    publish(host, "one")
    atomic(host, "install", "--now", IMAGE)
    return host


def deployments(host: Host) -> list[str]:
    listed = host.run(["sh", "-c", f"cd {CHECKOUTS} && echo base.*"]).stdout.split()
    return [f"{CHECKOUTS}/{name}" for name in listed]


def assert_protected(host: Host, version: str) -> None:
    """The version runs, nothing can be written to any deployment, and none differs."""
    ask = "runc exec base /bin/busybox cat /etc/version 2>/dev/null"  # a unit is active before it
    shown = host.run(["sh", "-c", f"until {ask}; do sleep .1; done"], timeout=60).stdout
    assert shown == version
    for deployment in deployments(host):
        write = f"echo x >> {deployment}/rootfs/etc/passwd"
        done = host.run(["sh", "-c", write], check=False)
        assert "Read-only file system" in done.stderr, deployment
    atomic(host, "containers", "verify", "--all")
    said = atomic(host, "containers", "protect").stdout.splitlines()
    assert sorted(said) == [f"{path}: protected" for path in deployments(host)]
    mounts = host.run(["findmnt", "-rno", "TARGET"]).stdout.splitlines()
    assert sorted(path for path in mounts if path.startswith(f"{CHECKOUTS}/base.")) == [
        path for own in deployments(host) for path in (own, f"{own}/rootfs")
    ]


def test_installed_and_running(ready: Host) -> None:
    assert_protected(ready, "one")
    ready.run(["systemctl", "restart", "base"])
    assert_protected(ready, "one")


def test_updates_collect_what_is_old(ready: Host) -> None:
    publish(ready, "two")
    atomic(ready, "containers", "update", "base", "--settle=1")
    assert_protected(ready, "two")
    publish(ready, "three")
    own = ["systemd-run", "--wait", "--pipe", "-p", "PrivateMounts=yes", "-p", "PrivateTmp=yes"]
    ready.run([*own, "atomic", "containers", "update", "base", "--settle=1"], timeout=120)
    assert len(deployments(ready)) == 2
    assert_protected(ready, "three")
    atomic(ready, "containers", "rollback", "base", "--settle=1")
    assert_protected(ready, "two")


def test_a_failed_update_leaves_nothing(ready: Host) -> None:
    publish(ready, "three")
    ready.write(
        "/etc/systemd/system/base.service.d/fail.conf", "[Service]\nExecStartPre=/bin/false\n"
    )
    atomic(ready, "containers", "rollback", "base", "--settle=1", code=None)
    ready.run(["rm", "-r", "/etc/systemd/system/base.service.d"])
    ready.run(["systemctl", "daemon-reload"])
    ready.run(["systemctl", "restart", "base"])
    assert_protected(ready, "two")


def test_damage_is_repaired_while_it_runs(ready: Host) -> None:
    current = ready.run(["readlink", f"{CHECKOUTS}/base"]).stdout.strip()
    passwd = f"{current}/rootfs/etc/passwd"
    ready.run(["sh", "-c", f"umount -l {current}/rootfs && echo damage >> {passwd}"])
    assert "etc/passwd" in atomic(ready, "containers", "verify", "base", code=None).stdout
    publish(ready, "three")  # the image that the store has, and that shares the file
    atomic(ready, "containers", "protect")
    atomic(ready, "containers", "verify", "--repair", "base")
    assert_protected(ready, "two")
    other = next(path for path in deployments(ready) if path != current)
    said = atomic(ready, "fsck", code=None)  # the same file, by its old inode
    assert (said.returncode, f"{other}/rootfs/etc/passwd (changed)" in said.stdout) == (5, True)
    atomic(ready, "fsck", "--repair")
    atomic(ready, "fsck")
    atomic(ready, "images", "prune")
    assert_protected(ready, "two")


def test_it_is_made_anew_at_boot(ready: Host) -> None:
    ready.reboot()
    assert "Failed unmounting" not in ready.console()
    assert_protected(ready, "two")
    assert ready.run(["systemctl", "--failed", "--plain", "--no-legend"]).stdout == ""


def test_uninstalled(ready: Host) -> None:
    atomic(ready, "uninstall", "base")
    assert ready.run(["ls", "-A", CHECKOUTS]).stdout.split() == [".journal", ".lock", ".state",
                                                                ".storage"]  # fmt: skip
    assert CHECKOUTS not in ready.run(["findmnt", "-rno", "TARGET"]).stdout
