# SPDX-License-Identifier: LGPL-2.1-or-later
"""Update on a real systemd: what fails, dies or loses its power leaves the old service running.

`base` is updated, `needs` requires it. The tests run in the order of the file.
"""

from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.host.host import Host
from tests.host.process import Completed
from tests.host.service import IMAGE, SERVE, atomic, busybox, make_trusting, publish
from tests.support import images, layers

pytestmark = pytest.mark.usefixtures("base")
UNIT = b"""[Service]
Type=exec
%s
ExecStart=$EXEC_START
ExecStop=$EXEC_STOP
WorkingDirectory=$DESTDIR
SuccessExitStatus=143

[Install]
WantedBy=multi-user.target
"""
# It kills the updater in the middle of the start, or keeps it waiting there for a power cut.
KILLS = b"ExecStartPre=-/bin/sh -c 'kill -KILL `cat /run/updater.pid`'"
WAITS = b"ExecStartPre=/bin/sleep 3600\nTimeoutStartSec=1h"
HEALTHY = {"Healthcheck": {"Test": ["CMD", "/bin/sh", "-c", "true"], "Interval": 10**9}}
SICK = {
    "Healthcheck": {
        "Test": ["CMD-SHELL", "echo it hurts >&2; exit 3"], "Interval": 10**8, "Retries": 2,
    }
}  # fmt: skip
# version -> (what runs, its unit, and the rest of the image's configuration)
VERSIONS: Mapping[str, tuple[str, bytes, Mapping[str, object]]] = {
    "one": (SERVE.format(1), UNIT % b"", {}),
    "two": (SERVE.format(2), UNIT % b"", HEALTHY),
    "dies": ("echo last words; sleep 1; exit 7", UNIT % b"", {}),
    "loops": ("echo last words; sleep 1; exit 7", UNIT % b"Restart=always\nRestartSec=0", {}),
    "sick": (SERVE.format(3), UNIT % b"", SICK),
    "fails": (SERVE.format(4), UNIT % b"ExecStartPre=/bin/false", {}),
    "kills": (SERVE.format(5), UNIT % KILLS, {}),
    "waits": (SERVE.format(6), UNIT % WAITS, {}),
}


def make_layouts(directory: Path) -> None:
    for name, (script, unit, config) in VERSIONS.items():
        content = [
            *busybox("sh", "sleep", "true"),
            layers.file("exports/service.template", unit),
            layers.file("exports/hostfs/etc/base.conf", name.encode()),
        ]
        images.layout(directory / name, content, {"Cmd": ["/bin/sh", "-c", script], **config})


def update(host: Host, *words: str) -> Completed:
    return atomic(host, "containers", "update", "base", "--settle=2", *words, code=None)


@pytest.fixture(scope="module")
def ready(host: Host, tmp_path_factory: pytest.TempPathFactory) -> Host:
    """Version one runs, and so does what requires it."""
    layouts = tmp_path_factory.mktemp("layouts")
    make_layouts(layouts)
    make_trusting(host, layouts)
    host.run(["systemctl", "enable", "atomic-sys-recover.service"])
    publish(host, "one")
    atomic(host, "install", "--now", IMAGE)
    host.write(
        "/etc/systemd/system/needs.service",
        "[Unit]\nRequires=base.service\nAfter=base.service\n"
        "[Service]\nExecStart=/bin/sleep infinity\n[Install]\nWantedBy=multi-user.target\n",
    )
    host.run(["systemctl", "enable", "--now", "needs.service"])
    return host


def assert_runs(host: Host, version: str) -> None:
    """This version runs, its files are there, and all that ran runs."""
    for unit in ("base.service", "needs.service"):
        assert host.systemctl_show(unit, "ActiveState") == {"ActiveState": "active"}, unit
    assert host.path("/etc/base.conf").read_text() == version
    assert host.run(["systemctl", "--failed", "--plain", "--no-legend"]).stdout == ""
    assert host.run(["runc", "list", "--quiet"]).stdout == "base\n"
    arguments = host.run(["runc", "exec", "base", "/bin/busybox", "ps"]).stdout
    assert VERSIONS[version][0][:15] in arguments
    text = host.path("/etc/systemd/system/base.service").read_bytes()
    current = host.run(["readlink", "/var/lib/containers/atomic/base"]).stdout.strip()
    assert text == host.path(f"{current}/base.service").read_bytes()
    assert list(host.path("/var/lib/containers/atomic/.journal").iterdir()) == []
    assert host.systemctl_show("base.service", "NeedDaemonReload")["NeedDaemonReload"] == "no"


def test_a_good_update_and_what_requires_it(ready: Host) -> None:
    assert_runs(ready, "one")
    same = update(ready)
    assert (same.returncode, same.stdout) == (0, "Latest version already installed.\n")
    publish(ready, "two")
    done = update(ready)
    assert (done.returncode, "Rolling back" in done.stdout) == (0, False)
    assert_runs(ready, "two")
    atomic(ready, "containers", "rollback", "base", "--settle=1")
    assert_runs(ready, "one")


@pytest.mark.parametrize(
    ("version", "probe"),
    [("dies", "settle"), ("loops", "settle"), ("sick", "health"), ("fails", "its job failed")],
)
def test_a_bad_update_is_as_if_it_had_not_been(version: str, probe: str, ready: Host) -> None:
    publish(ready, version)
    done = update(ready)
    assert done.returncode == 8, done.stderr
    assert "Rolling back container base to the checkout at /var/lib/containers/atomic/base." in (
        done.stdout
    )
    assert probe in done.stderr
    if version == "dies":
        assert "base.service: last words" in done.stderr
    if version == "sick":
        assert "it hurts" in done.stderr
        assert "version 3" in done.stderr
    assert_runs(ready, "one")
    again = atomic(ready, "containers", "update", "--all", "--settle=1")
    assert "this image failed before" in again.stderr
    assert_runs(ready, "one")


def test_without_rollback_it_stays(ready: Host) -> None:
    publish(ready, "sick")
    done = update(ready, "--no-rollback")
    assert (done.returncode, "Rolling back" in done.stdout) == (1, False)
    assert ready.path("/etc/base.conf").read_text() == "sick"
    atomic(ready, "containers", "rollback", "base", "--settle=1")
    ready.run(["systemctl", "start", "needs"])
    assert_runs(ready, "one")


def test_a_killed_update_is_taken_back_by_the_next_command(ready: Host) -> None:
    publish(ready, "kills")
    words = "atomic containers update base --settle=1"
    done = ready.run(["sh", "-c", f"echo $$ > /run/updater.pid; exec {words}"], check=False)
    assert done.returncode in (-9, 137)
    assert len(list(ready.path("/var/lib/containers/atomic/.journal").iterdir())) == 1
    publish(ready, "one")
    said = update(ready)
    assert said.returncode == 0
    assert "base: taking back the interrupted update" in said.stderr
    assert "Latest version already installed." in said.stdout
    assert_runs(ready, "one")


def begin_update(host: Host) -> None:
    """Begins an update that does not end, as it waits for the start of the new version."""
    publish(host, "waits")
    host.run(["systemd-run", "--collect", "atomic", "containers", "update", "base"])
    host.run(["sh", "-c", "until systemctl is-active base | grep -q activating; do sleep .1; done"
              ], timeout=60)  # fmt: skip


def test_a_reboot_in_an_update_takes_it_back(ready: Host) -> None:
    """The update is told to end while systemd starts nothing any more."""
    begin_update(ready)
    ready.reboot()
    assert_runs(ready, "one")


def test_a_power_cut_in_an_update_is_taken_back_at_boot(ready: Host) -> None:
    begin_update(ready)
    ready.run(["sync"])
    ready.kill()
    ready.boot()
    assert_runs(ready, "one")
    said = ready.journal("atomic-sys-recover.service")
    assert "base: taking back the interrupted update" in said
    publish(ready, "two")
    assert update(ready).returncode == 0
    assert_runs(ready, "two")
