# SPDX-License-Identifier: LGPL-2.1-or-later
"""Hooks and --purge on a real systemd and runc. The tests run in the order of the file."""

import json
from pathlib import Path

import pytest

from tests.host import service
from tests.host.host import Host
from tests.host.service import atomic, busybox, make_trusting
from tests.support import images, layers

pytestmark = pytest.mark.usefixtures("base")
SERVE = "trap 'exit 0' TERM; while :; do /bin/busybox sleep 1 & wait; done"
HOOKS = {
    "pre-update": "echo saving; echo {} >/data/saved; test ! -e /data/refuse || exit 1;"
    " test ! -e /data/slow || /bin/busybox sleep 1234",
    "uninstall": "echo leaving; echo left >/data/left; test ! -e /data/stay",
}
DATA = "/var/lib/kept/data"
LINK = "/var/lib/containers/atomic/kept"


def make_layouts(directory: Path) -> None:
    for version in ("one", "two", "three"):
        hooks = {hook: ["/bin/sh", "-c", run.format(version)] for hook, run in HOOKS.items()}
        manifest = {"hooks": hooks, "state": ["$STATE_DIRECTORY/$NAME", "/etc"]}
        content = [
            *busybox("sh"),
            layers.directory("data"),
            layers.file("exports/manifest.json", json.dumps(manifest).encode()),
        ]
        config = {"Cmd": ["/bin/sh", "-c", SERVE], "Volumes": {"/data": {}}}
        images.layout(directory / version, content, config)


def publish(host: Host, version: str) -> None:
    service.publish(host, version, "/srv/kept")


def invocation(host: Host) -> dict[str, str]:
    return host.systemctl_show("kept.service", "InvocationID", "ActiveState", "MainPID")


@pytest.fixture(scope="module")
def kept(host: Host, tmp_path_factory: pytest.TempPathFactory) -> Host:
    """Version one runs."""
    layouts = tmp_path_factory.mktemp("layouts")
    make_layouts(layouts)
    make_trusting(host, layouts)
    publish(host, "one")
    atomic(host, "install", "--now", "oci:/srv/kept")
    return host


def test_a_hook_that_fails_stops_the_update_before_anything_is_changed(kept: Host) -> None:
    atomic(kept, "containers", "exec", "kept", "/bin/busybox", "touch", "/data/refuse")
    publish(kept, "two")
    before = invocation(kept)
    done = atomic(kept, "containers", "update", "kept", "--settle=1", code=1)
    assert "pre-update: saving" in done.stderr
    assert "the pre-update hook failed: exit status 1: saving" in done.stderr
    assert "Extracting to" not in done.stdout
    assert "Rolling back" not in done.stdout
    assert invocation(kept) == before
    assert kept.run(["readlink", LINK]).stdout == f"{LINK}.0\n"
    summary = atomic(kept, "containers", "update", "--all", "--settle=1", code=1)
    assert "the pre-update hook failed" in summary.stderr


def test_a_dry_run_shows_the_hook_and_does_not_run_it(kept: Host) -> None:
    kept.path(f"{DATA}/saved").unlink()
    shown = atomic(kept, "containers", "update", "kept", "--dry-run").stdout
    assert shown.startswith("run the pre-update hook in kept: /bin/sh -c echo saving")
    assert not kept.path(f"{DATA}/saved").exists()


def test_the_hook_of_what_runs_is_run_before_the_update(kept: Host) -> None:
    kept.path(f"{DATA}/refuse").unlink()
    before = invocation(kept)
    atomic(kept, "containers", "update", "kept", "--settle=1")
    assert kept.path(f"{DATA}/saved").read_text() == "one\n"
    after = invocation(kept)
    assert (after["ActiveState"], after["InvocationID"] != before["InvocationID"]) == (
        "active", True,
    )  # fmt: skip


def test_a_hook_that_takes_too_long_is_ended(kept: Host) -> None:
    publish(kept, "three")
    kept.path(f"{DATA}/slow").touch()
    kept.write("/etc/atomic.conf", "hook_timeout: 1\n")
    before = invocation(kept)
    done = atomic(kept, "containers", "update", "kept", "--settle=1", code=1)
    assert "the pre-update hook failed: took longer than 1 seconds: saving" in done.stderr
    assert "hint: hook_timeout in /etc/atomic.conf grants more time" in done.stderr
    assert invocation(kept) == before
    assert "sleep 1234" not in atomic(kept, "containers", "ps", "kept").stdout
    kept.path("/etc/atomic.conf").unlink()
    kept.path(f"{DATA}/slow").unlink()


def test_a_container_that_does_not_run_has_no_hook(kept: Host) -> None:
    atomic(kept, "stop", "kept")
    kept.path(f"{DATA}/saved").unlink()
    done = atomic(kept, "containers", "update", "kept")
    assert "kept does not run: its pre-update hook is left out" in done.stderr
    assert not kept.path(f"{DATA}/saved").exists()
    atomic(kept, "run", "kept")


def test_a_hook_that_fails_keeps_the_container(kept: Host) -> None:
    kept.path(f"{DATA}/stay").touch()
    before = invocation(kept)
    done = atomic(kept, "uninstall", "kept", code=1)
    assert "the uninstall hook failed: exit status 1: leaving" in done.stderr
    assert "hint: atomic uninstall --force kept" in done.stderr
    assert invocation(kept) == before


def test_a_dry_run_of_an_uninstallation(kept: Host) -> None:
    kept.path(f"{DATA}/left").unlink()
    before = invocation(kept)
    done = atomic(kept, "uninstall", "--dry-run", "--purge", "kept")
    assert done.stdout.startswith("run the uninstall hook in kept: ")
    assert "\nremove the state /var/lib/kept\n" in done.stdout
    assert "warning: /etc stays: it is not below /var/lib" in done.stderr
    assert not kept.path(f"{DATA}/left").exists()
    assert invocation(kept) == before


def test_state_with_something_mounted_in_it_stays(kept: Host) -> None:
    kept.run(["mkdir", "-p", f"{DATA}/disk"])
    kept.run(["mount", "-t", "tmpfs", "disk", f"{DATA}/disk"])
    done = atomic(kept, "uninstall", "--purge", "--dry-run", "kept")
    assert f"/var/lib/kept stays: a file system is mounted at {DATA}/disk" in done.stderr
    assert "remove the state" not in done.stdout
    kept.run(["umount", f"{DATA}/disk"])


def test_purge_removes_the_state_and_nothing_else(kept: Host) -> None:
    kept.run(["ln", "-s", "/etc", f"{DATA}/link"])
    done = atomic(kept, "uninstall", "--purge", "--force", "kept")
    assert "warning: the uninstall hook failed" in done.stderr
    assert "this state is removed: /var/lib/kept\n" in done.stderr
    assert not kept.path("/var/lib/kept").exists()
    assert kept.path("/etc/passwd").exists()
    assert not kept.path("/etc/systemd/system/kept.service").exists()
    assert list(kept.path("/var/lib/containers/atomic").glob("kept*")) == []


def test_without_purge_the_state_stays_and_the_next_one_has_it(kept: Host) -> None:
    publish(kept, "one")
    atomic(kept, "install", "--now", "oci:/srv/kept")
    atomic(kept, "containers", "delete", "kept")
    assert kept.path(f"{DATA}/left").read_text() == "left\n"
    atomic(kept, "install", "oci:/srv/kept")
    atomic(kept, "containers", "delete", "--purge", "kept")
    assert not kept.path("/var/lib/kept").exists()
