# SPDX-License-Identifier: LGPL-2.1-or-later
"""The test host is what the other host tests take it for."""

import json
import os
import select
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.host.disk import control_groups, is_populated, scratch_directory, sweep
from tests.host.host import Host
from tests.host.process import HostError, run

MakeHost = Callable[[str], Host]
ROOT = Path(__file__).parents[2]

NOTIFY_UNIT = """
[Service]
Type=notify
NotifyAccess=all
TimeoutStartSec=30
WorkingDirectory=/srv/probe
ExecStart=/usr/sbin/runc --systemd-cgroup run probe
ExecStopPost=-/usr/sbin/runc delete --force probe
SuccessExitStatus=143
"""
START_BY_DBUS = """
from gi.repository import GLib
from pydbus import SystemBus
bus, loop = SystemBus(), GLib.MainLoop()
manager = bus.get(".systemd1")
manager.Subscribe()
def removed(number, job, unit, result):
    if job == started:
        print(unit, result)
        loop.quit()
manager.JobRemoved.connect(removed)
started = manager.StartUnit("dbus-probe.service", "replace")
GLib.timeout_add_seconds(20, loop.quit)
loop.run()
"""


def test_boots_to_running_with_a_systemd_of_its_own(host: Host) -> None:
    assert host.run(["systemctl", "is-system-running"]).stdout == "running\n"
    assert host.run(["cat", "/proc/1/comm"]).stdout == "systemd\n"
    assert host.run(["hostname"]).stdout.strip() == host.name
    assert len(host.path("/etc/machine-id").read_text()) == 33


def test_the_network_is_loopback_and_nothing_else(host: Host) -> None:
    links = json.loads(host.run(["ip", "-json", "address"]).stdout)
    assert [link["ifname"] for link in links] == ["lo"]
    assert "127.0.0.1" in [address["local"] for address in links[0]["addr_info"]]


def test_no_service_runs_that_nobody_asked_for(host: Host) -> None:
    units = host.run(["systemctl", "list-units", "--type=service", "--state=running", "--plain",
                      "--no-legend"]).stdout  # fmt: skip
    running = {line.split()[0] for line in units.splitlines()}
    assert running == {"dbus.service", "systemd-journald.service", "systemd-logind.service"}


def test_commands_report_output_and_failure(host: Host) -> None:
    done = host.run(["sh", "-c", "cat; echo oops >&2; exit 3"], input="typed", check=False)
    assert (done.returncode, done.stdout, done.stderr) == (3, "typed", "oops\n")
    with pytest.raises(HostError, match=r"exit 3 .*\n.*oops"):
        host.run(["sh", "-c", "echo oops >&2; exit 3"])


def test_a_command_over_its_limit_is_ended(host: Host) -> None:
    with pytest.raises(HostError, match="over 1 s"):
        host.run(["sleep", "3141"], timeout=1)
    assert host.run(["grep", "-la", "3141", "-r", "/proc", "--include=cmdline", "-s"],
                    check=False).stdout.count("cmdline") <= 2  # grep itself  # fmt: skip


def test_a_container_of_runc_is_a_notify_unit(host: Host) -> None:
    make_bundle(host)
    host.write("/etc/systemd/system/probe.service", NOTIFY_UNIT)
    host.run(["systemctl", "daemon-reload"])
    host.run(["systemctl", "start", "probe"])  # returns at READY=1, fails without it
    shown = host.systemctl_show("probe", "ActiveState", "MainPID")
    assert shown["ActiveState"] == "active"
    times = host.monotonic("probe.service")
    assert 0 < times.inactive_exit < times.active_enter
    assert "probe speaks" in host.journal("probe.service")
    listed = json.loads(host.run(["runc", "list", "--format=json"]).stdout)
    assert [(each["id"], each["status"]) for each in listed] == [("probe", "running")]
    assert host.run(["runc", "exec", "probe", "cat", "/proc/1/comm"]).stdout == "sh\n"
    host.run(["systemctl", "stop", "probe"])
    assert host.systemctl_show("probe", "ActiveState")["ActiveState"] == "inactive"
    assert host.run(["runc", "list", "--quiet"]).stdout == ""


def make_bundle(host: Host) -> None:
    """A bundle at /srv/probe whose root is the host's own /usr, and which reports when it is up."""
    host.run(["mkdir", "-p", "/srv/probe/rootfs/usr"])
    host.run(["ln", "-s", "usr/bin", "usr/lib", "usr/lib64", "/srv/probe/rootfs"])
    host.run(["runc", "spec", "--bundle", "/srv/probe"])
    config = json.loads(host.path("/srv/probe/config.json").read_text())
    config["process"]["terminal"] = False
    script = (
        "echo probe speaks; systemd-notify --ready; trap 'exit 143' TERM; sleep infinity & wait"
    )
    config["process"]["args"] = ["/usr/bin/sh", "-c", script]
    config["mounts"].append({
        "destination": "/usr",
        "type": "bind",
        "source": "/usr",
        "options": ["bind", "ro"],
    })
    host.write("/srv/probe/config.json", json.dumps(config))


def test_a_unit_starts_over_the_bus_and_the_job_is_reported(host: Host) -> None:
    host.write(
        "/etc/systemd/system/dbus-probe.service",
        "[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/true\n",
    )
    host.run(["systemctl", "daemon-reload"])
    said = host.run(["/usr/bin/python3", "-c", START_BY_DBUS]).stdout
    assert said == "dbus-probe.service done\n"


def test_files_and_identity_outlive_a_reboot(new_host: MakeHost) -> None:
    host = new_host("reboot")
    host.boot()
    identity = host.path("/etc/machine-id").read_text()
    host.run(["sh", "-c", "echo kept > /root/file; echo gone > /run/file"])
    host.reboot()
    assert host.run(["cat", "/root/file"]).stdout == "kept\n"
    assert not host.path("/run/file").exists()
    assert host.path("/etc/machine-id").read_text() == identity


def test_a_power_cut_keeps_what_was_synced_and_loses_the_rest(new_host: MakeHost) -> None:
    host = new_host("cut")
    host.boot()
    host.run([
        "sh",
        "-c",
        "echo kept > /root/synced; sync /root/synced /root; echo lost > /root/not",
    ])
    host.kill()
    assert not host.is_on
    host.boot()
    assert host.path("/root/synced").read_text() == "kept\n"
    assert not host.path("/root/not").exists() or host.path("/root/not").read_text() == ""


def test_two_hosts_at_once_do_not_meet(new_host: MakeHost) -> None:
    one, other = new_host("one"), new_host("other")
    one.boot()
    other.boot()
    one.run(["systemd-run", "--unit=only-here", "sleep", "infinity"])
    one.run(["touch", "/root/only-here"])
    assert other.systemctl_show("only-here.service", "LoadState") == {"LoadState": "not-found"}
    assert not other.path("/root/only-here").exists()
    group = "sys/fs/cgroup/system.slice/only-here.service"
    assert one.path(group).is_dir() and not other.path(group).exists()
    namespaces = [
        host.run(["readlink", "/proc/1/ns/net", "/proc/1/ns/pid"]).stdout for host in (one, other)
    ]
    assert namespaces[0] != namespaces[1]
    one.kill()  # nothing of the other, which was booted later, holds this one's disk
    one.boot()
    one.poweroff()
    other.wait_running()


def test_a_boot_that_fails_says_why(new_host: MakeHost) -> None:
    host = new_host("broken")
    unit = "[Service]\nType=oneshot\nExecStart=/bin/false\n"
    host.write("/etc/systemd/system/broken.service", unit)
    wants = host.path("/etc/systemd/system/multi-user.target.wants")
    (wants / "broken.service").symlink_to("../broken.service")
    with pytest.raises(HostError, match=r"broken\.service"):
        host.boot()
    assert not host.is_on


def test_a_destroyed_host_leaves_nothing(new_host: MakeHost) -> None:
    host = new_host("gone")
    host.boot()
    host.run(["systemd-run", "sleep", "infinity"])
    leader, name = host.machine.leader, host.name
    assert traces(name) and is_populated(name)
    host.destroy()
    assert not is_alive(leader)
    assert traces(name) == []
    host.destroy()


def test_what_a_killed_run_left_is_swept(base: Path) -> None:
    script = (
        "from tests.host.host import Host\n"
        "host = Host('orphan')\nhost.boot()\n"
        "print(host.name, host.machine.leader, flush=True)\ninput()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        text=True,
    ) as owner:  # fmt: skip
        assert owner.stdout is not None
        name, leader = owner.stdout.readline().split()
        watched = os.pidfd_open(int(leader))
        assert name not in sweep()  # its owner lives
        owner.kill()
    ended, _, _ = select.select([watched], [], [], 30)
    os.close(watched)
    assert ended, "the host outlives its owner"
    assert traces(name)
    assert name in sweep()
    assert traces(name) == []


def is_alive(pid: int) -> bool:
    """Whether `pid` runs; a zombie, which only its parent can take away, does not."""
    status = Path(f"/proc/{pid}/status")
    return status.exists() and "State:\tZ" not in status.read_text()


def traces(name: str) -> list[str]:
    """What this machine has of a host called `name`."""
    mounts = [
        line for line in Path("/proc/self/mountinfo").read_text().splitlines() if name in line
    ]
    loops = [line for line in run(["losetup", "--list"]).stdout.splitlines() if name in line]
    groups = [os.fspath(group) for group in control_groups(name) if group.exists()]
    files = [scratch_directory() / name, Path("/run/systemd/nspawn/propagate", name)]
    return [*mounts, *loops, *groups, *(os.fspath(path) for path in files if path.exists())]
