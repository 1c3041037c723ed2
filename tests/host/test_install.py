# SPDX-License-Identifier: LGPL-2.1-or-later
"""Install on a real systemd: what fails, is interrupted or is done twice leaves nothing behind."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.host.host import Host
from tests.host.process import Completed
from tests.host.product import install_product
from tests.host.snapshot import difference, snapshot
from tests.support import images, layers

pytestmark = pytest.mark.usefixtures("base")
# It runs until it is told to end, and ends then.
SERVE = "trap 'exit 0' TERM; while :; do /bin/busybox sleep 1 & wait; done"
UNIT = b"""[Unit]
Description=$NAME

[Service]
%s
ExecStart=$EXEC_START
ExecStop=$EXEC_STOP
WorkingDirectory=$DESTDIR

[Install]
WantedBy=multi-user.target
"""
TMPFILES = b"d /var/lib/of-${NAME} 0700 - - - -\nd /run/of-${NAME}/deep 0700 - - - -\n"
NEVER_READY = b"Type=notify\nNotifyAccess=all\nTimeoutStartSec=3\nTimeoutStopSec=2\n"
# Ends whoever installs it in the middle of the start, when the container is there.
KILLS = (
    b"Type=exec\nTimeoutStopSec=5\n"
    b"ExecStartPost=/bin/sh -c 'kill -TERM `cat /run/installer.pid`; exec sleep infinity'"
)
HOST_FILE = {"hostfs/usr/local/bin/of-container": b"#!/bin/sh\n", "hostfs/etc/of/a": b"a"}
IMAGES: Mapping[str, tuple[str, Mapping[str, bytes]]] = {
    "good": (SERVE, {}),
    "exits": ("exit 1", HOST_FILE | {"service.template": UNIT % (NEVER_READY + b"Restart=always"),
                                     "tmpfiles.template": TMPFILES}),
    "silent": (SERVE, HOST_FILE | {"service.template": UNIT % NEVER_READY,
                                   "tmpfiles.template": TMPFILES}),
    "kills": (SERVE, HOST_FILE | {"service.template": UNIT % KILLS,
                                  "tmpfiles.template": TMPFILES}),
}  # fmt: skip
# The store and what the runtime keeps for itself stay, as the contract has it.
KEPT = ("/var/lib/containers/atomic/.storage", "/var/lib/containers/atomic/.lock",
        "/var/lib/containers/atomic/.journal", "/run/runc",
        "/run/installer.pid")  # fmt: skip


def make_layouts(directory: Path) -> None:
    """An image of busybox for each of IMAGES."""
    program = shutil.which("busybox")
    assert program is not None
    busybox = Path(program).read_bytes()
    for name, (script, exports) in IMAGES.items():
        content = [
            layers.file("bin/busybox", busybox, mode=0o755),
            layers.symlink("bin/sh", "busybox"),
            *(layers.file(f"exports/{path}", text) for path, text in exports.items()),
        ]
        images.layout(directory / name, content, {"Cmd": ["/bin/sh", "-c", script]})


@pytest.fixture(scope="module")
def ready(host: Host, tmp_path_factory: pytest.TempPathFactory) -> Host:
    """A host with the product and the images, which its policy accepts."""
    layouts = tmp_path_factory.mktemp("layouts")
    make_layouts(layouts)
    install_product(host)
    host.copy_in(layouts, "/srv/images")
    policy = {
        "default": [{"type": "reject"}],
        "transports": {"oci": {"": [{"type": "insecureAcceptAnything"}]}},
    }
    host.write("/etc/containers/policy.json", json.dumps(policy))
    host.path("/usr/local/bin").mkdir(exist_ok=True)
    for name in IMAGES:
        atomic(host, "pull", source(name))
    return host


def source(name: str) -> str:
    return f"oci:/srv/images/{name}"


def atomic(host: Host, *words: str, check: bool = True) -> Completed:
    return host.run(["atomic", *words], check=check, timeout=120)


def assert_nothing_left(host: Host, before: Mapping[str, str], name: str) -> None:
    """No file, no unit, no container, no failure of it."""
    assert difference(before, snapshot(host), kept=KEPT) == ()
    shown = host.systemctl_show(f"{name}.service", "LoadState", "ActiveState")
    assert shown == {"LoadState": "not-found", "ActiveState": "inactive"}
    assert host.run(["systemctl", "--failed", "--plain", "--no-legend"]).stdout == ""
    assert host.run(["runc", "list", "--quiet"]).stdout == ""


@pytest.mark.parametrize("name", ["exits", "silent"])
def test_a_container_that_does_not_start_leaves_nothing(ready: Host, name: str) -> None:
    before = snapshot(ready)
    done = atomic(ready, "install", "--now", source(name), check=False)
    assert done.returncode == 1
    assert f"installing {name}: " in done.stderr
    assert_nothing_left(ready, before, name)


def test_a_killed_installation_leaves_nothing(ready: Host) -> None:
    before = snapshot(ready)
    install = f"echo $$ > /run/installer.pid; exec atomic install --now {source('kills')}"
    done = ready.run(["sh", "-c", install], check=False, timeout=120)
    assert (done.returncode, done.stderr) == (130, "atomic: interrupted\n")
    assert_nothing_left(ready, before, "kills")


def test_the_life_of_a_plain_image(ready: Host) -> None:
    before = snapshot(ready)
    assert atomic(ready, "containers", "status", "good", check=False).returncode == 4
    atomic(ready, "install", "--now", source("good"), "--after", "sysinit.target",
           "--requires=dbus.service")  # fmt: skip
    shown = ready.systemctl_show("good.service", "ActiveState", "UnitFileState", "DropInPaths",
                                 "Requires")  # fmt: skip
    assert shown["ActiveState"] == "active"
    assert shown["UnitFileState"] == "enabled"
    assert shown["DropInPaths"] == "/etc/systemd/system/good.service.d/50-atomic-sys.conf"
    assert "dbus.service" in shown["Requires"].split()
    assert atomic(ready, "containers", "status", "good").returncode == 0
    (listed,) = json.loads(atomic(ready, "containers", "list", "--json").stdout)
    assert (listed["name"], listed["running"], listed["enabled"]) == ("good", True, True)
    assert ready.run(["runc", "list", "--quiet"]).stdout == "good\n"

    ready.run(["systemctl", "stop", "good"])
    stopped = ready.systemctl_show("good.service", "ActiveState", "Result")
    assert stopped == {"ActiveState": "inactive", "Result": "success"}
    assert atomic(ready, "containers", "status", "good", check=False).returncode == 3
    ready.run(["systemctl", "start", "good"])
    atomic(ready, "uninstall", "good")
    assert_nothing_left(ready, before, "good")


def test_an_image_in_use_stays_and_a_declined_deletion_too(ready: Host) -> None:
    atomic(ready, "install", source("good"))
    assert atomic(ready, "images", "delete", "good", check=False).returncode == 1
    # At a terminal it asks; the answer is no.
    ask = (
        "import os, pty, sys; "
        "sys.exit(os.waitstatus_to_exitcode(pty.spawn(['atomic', 'containers', 'delete', 'good'])))"
    )
    done = ready.run(["python3", "-c", ask], input="n\n", check=False)
    assert done.returncode == 2
    assert "Confirm (y/N) " in done.stdout
    assert atomic(ready, "containers", "list", "-aq").stdout == "good\n"
    atomic(ready, "containers", "delete", "good")
    assert atomic(ready, "containers", "list", "-aq").stdout == ""


def test_two_at_once_install_it_once(ready: Host) -> None:
    before = snapshot(ready)
    install = f"atomic install --now {source('good')} --name twice"
    one = f"{install} > /run/said-$i 2>&1; echo $? >> /run/said-$i"
    ready.run(["sh", "-c", f"for i in 1 2; do ({one}) & done; wait"], timeout=120)
    said = [ready.path(f"/run/said-{number}").read_text() for number in (1, 2)]
    for number in (1, 2):
        ready.path(f"/run/said-{number}").unlink()
    assert [text.splitlines()[-1] for text in said] == ["0", "0"], said
    assert sorted("twice already present" in text for text in said) == [False, True]
    assert ready.systemctl_show("twice.service", "ActiveState") == {"ActiveState": "active"}
    atomic(ready, "uninstall", "twice")
    assert_nothing_left(ready, before, "twice")


def test_host_files_and_tmpfiles_go_with_the_container(ready: Host) -> None:
    before = snapshot(ready)
    atomic(ready, "install", source("silent"), "--no-enable")
    assert ready.path("/run/of-silent/deep").is_dir()
    assert ready.path("/etc/of/a").read_text() == "a"
    enabled = ready.systemctl_show("silent.service", "UnitFileState")
    assert enabled == {"UnitFileState": "disabled"}
    atomic(ready, "uninstall", "silent")
    # Nothing has come into the directories of its tmpfiles.d, so they go too.
    assert difference(before, snapshot(ready), kept=KEPT) == ()
