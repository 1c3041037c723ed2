# SPDX-License-Identifier: LGPL-2.1-or-later
"""Deployments on a real systemd: those of the predecessor, and those that somebody still uses.

The tests run in the order of the file.
"""

import json
from pathlib import Path

import pytest

from tests.host import service
from tests.host.host import Host
from tests.host.service import CHECKOUTS, atomic, busybox, make_trusting
from tests.support import images, layers
from tests.support.predecessor import age

pytestmark = pytest.mark.usefixtures("base")
SERVE = "echo $GREETING {}; trap 'exit 0' TERM; while :; do /bin/busybox sleep 1 & wait; done"
CONFIG = """{"ociVersion": "1.0.2", "root": {"path": "rootfs", "readonly": true},
"process": {"user": {"uid": 0, "gid": 0}, "cwd": "/", "env": ["GREETING=$GREETING"],
            "args": ["/bin/sh", "-c", "COMMAND"]},
"mounts": [{"destination": "/proc", "type": "proc", "source": "proc"},
           {"destination": "/dev", "type": "tmpfs", "source": "tmpfs"}],
"linux": {"namespaces": [{"type": "mount"}, {"type": "pid"}]}}"""
UNIT = b"""[Unit]
After=network.target

[Service]
ExecStart=$EXEC_START
ExecStop=$EXEC_STOP
Restart=on-failure
WorkingDirectory=$DESTDIR

[Install]
WantedBy=multi-user.target
"""


def make_layouts(directory: Path) -> None:
    for version in ("one", "two"):
        defaults = {"GREETING": f"default of {version}"}
        config = CONFIG.replace("COMMAND", SERVE.replace("$", "$$").format(version))
        files = {
            "config.json.template": config.encode(),
            "service.template": UNIT,
            "manifest.json": json.dumps({
                "defaultValues": defaults,
                "installedFilesTemplate": ["/etc/old.conf"],
            }).encode(),
            "hostfs/etc/old.conf": f"{version} $GREETING\n".encode(),
        }
        content = [
            *busybox("sh"),
            layers.directory("proc"),
            *(layers.file(f"exports/{name}", text) for name, text in files.items()),
        ]
        images.layout(directory / version, content)


def publish(host: Host, version: str) -> None:
    service.publish(host, version, "/srv/old")


@pytest.fixture(scope="module")
def old(host: Host, tmp_path_factory: pytest.TempPathFactory) -> Host:
    """The container `old` runs, as the predecessor had installed it."""
    layouts = tmp_path_factory.mktemp("layouts")
    make_layouts(layouts)
    make_trusting(host, layouts)
    publish(host, "one")
    atomic(host, "install", "--now", "oci:/srv/old")
    age(host.path("/"), "old")
    return host


def deployments(host: Host) -> list[str]:
    return sorted(path.name for path in host.path(CHECKOUTS).glob("old.*"))


def assert_runs(host: Host, deployment: str, text: str) -> None:
    """This deployment runs, and its host file is there."""
    assert host.run(["readlink", f"{CHECKOUTS}/old"]).stdout == f"{CHECKOUTS}/{deployment}\n"
    assert host.systemctl_show("old.service", "ActiveState") == {"ActiveState": "active"}
    state = json.loads(host.run(["runc", "state", "old"]).stdout)
    assert state["bundle"] == f"{CHECKOUTS}/{deployment}"
    assert host.path("/etc/old.conf").read_text() == text


def test_what_the_predecessor_installed_is_updated_and_comes_back(old: Host) -> None:
    atomic(old, "containers", "verify", "old")
    assert_runs(old, "old.0", "one default of one\n")
    publish(old, "two")
    atomic(old, "containers", "update", "old", "--settle=1")
    assert_runs(old, "old.1", "two default of two\n")
    atomic(old, "containers", "rollback", "old", "--settle=1")
    assert_runs(old, "old.0", "one default of one\n")
    atomic(old, "containers", "rollback", "old", "--settle=1")
    assert_runs(old, "old.1", "two default of two\n")


def test_what_a_live_process_uses_stays_until_it_ends(old: Host) -> None:
    hold = f"mount --bind {CHECKOUTS}/old.0/rootfs /mnt; exec sleep infinity"
    old.run(["systemd-run", "--unit=shim", "unshare", "--mount", "sh", "-c", hold])
    mountinfo = "/proc/$(systemctl show -P MainPID shim)/mountinfo"
    old.run(["sh", "-c", f"until grep -q /mnt {mountinfo}; do sleep .1; done"])
    done = atomic(old, "containers", "update", "old", "--settle=1", "--set=GREETING=a")
    assert "old.0 is still in use, and stays for now" in done.stderr
    assert deployments(old) == ["old.0", "old.1", "old.2"]
    assert json.loads(atomic(old, "images", "prune", "--json").stdout)["deployments"] == []
    old.run(["systemctl", "stop", "shim"])
    assert json.loads(atomic(old, "images", "prune", "--json").stdout)["deployments"] == ["old.0"]
    assert deployments(old) == ["old.1", "old.2"]


def test_as_many_are_kept_as_the_host_says(old: Host) -> None:
    old.write("/etc/atomic.conf", "deployments: 3\n")
    for greeting in "bc":
        atomic(old, "containers", "update", "old", "--settle=0", f"--set=GREETING={greeting}")
    listed = json.loads(atomic(old, "containers", "deployments", "old", "--json").stdout)
    assert len(listed) == 3
    old.write("/etc/atomic.conf", "")
    assert len(json.loads(atomic(old, "images", "prune", "--json").stdout)["deployments"]) == 1
    atomic(old, "containers", "rollback", "old", "--settle=1")
    assert old.path("/etc/old.conf").read_text() == "two b\n"


def test_nothing_of_it_stays(old: Host) -> None:
    atomic(old, "uninstall", "old")
    assert deployments(old) == []
    assert not old.path("/etc/old.conf").exists()
    assert not old.path("/etc/systemd/system/old.service").exists()
    assert old.run(["runc", "list", "--quiet"]).stdout == ""
    assert old.run(["systemctl", "--failed", "--plain", "--no-legend"]).stdout == ""
