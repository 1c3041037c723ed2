# SPDX-License-Identifier: LGPL-2.1-or-later
"""Images that run once, with the real runc: exit status, files, and that nothing stays."""

import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.host.host import Host
from tests.host.service import CHECKOUTS, atomic, busybox, make_trusting
from tests.support import images, layers

pytestmark = pytest.mark.usefixtures("base")
RUNS = f"{CHECKOUTS}/.storage/run"
ONCE, PLAIN = "oci:/srv/images/once", "oci:/srv/images/plain"
# It writes to its root, as the predecessor's own test image may.
SCRIPT = "echo HI $RECEIVER from $NAME; echo -n x >>/written; cat /written; exit $STATUS"
CONFIG = {
    "ociVersion": "1.0.2",
    "process": {
        "user": {"uid": 0, "gid": 0},
        "args": ["/bin/sh", "-c", SCRIPT],
        "env": ["PATH=/bin"],
        "cwd": "/",
    },
    "root": {"path": "rootfs", "readonly": False},
    "mounts": [
        {"destination": "/proc", "type": "proc", "source": "proc"},
        {"destination": "/data", "type": "bind", "source": "/srv/$NAME", "options": ["bind"]},
    ],
    "linux": {"namespaces": [{"type": "mount"}, {"type": "pid"}]},
}
MANIFEST = {"defaultValues": {"RECEIVER": "World", "STATUS": "0"}}
WAITS = (
    "trap 'echo told to end; exit 5' TERM HUP;"
    " echo begun; while :; do /bin/busybox sleep 1 & wait; done"
)


def make_layouts(directory: Path) -> None:
    files = [
        *busybox("sh", "cat", "echo"),
        layers.file("written", b"image "),
        layers.directory("data"),
        layers.directory("proc"),
    ]
    exports = [
        layers.file("exports/config.json.template", json.dumps(CONFIG).encode()),
        layers.file("exports/manifest.json", json.dumps(MANIFEST).encode()),
    ]
    labels = {"Labels": {"atomic.run": "once", "atomic.type": "system"}}
    images.layout(directory / "once", [*files, *exports], labels)
    plain = {"Cmd": ["/bin/sh", "-c", "echo plain; exit 3"], "Volumes": {"/data": {}}}
    images.layout(directory / "plain", files, plain)


@pytest.fixture(scope="module")
def ready(host: Host, tmp_path_factory: pytest.TempPathFactory) -> Host:
    layouts = tmp_path_factory.mktemp("layouts")
    make_layouts(layouts)
    make_trusting(host, layouts, "/srv/images")
    return host


def assert_nothing_stays(host: Host) -> None:
    assert list(host.path(RUNS).iterdir()) == []
    assert host.run(["runc", "list", "--quiet"]).stdout == ""
    assert [p.name for p in host.path(CHECKOUTS).iterdir() if not p.name.startswith(".")] == []
    assert list(host.path("/etc/systemd/system").glob("*once*")) == []
    assert not host.path("/srv/pluto").exists()
    assert list(host.path("/var/lib").glob("run-once*")) == []


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_to_install_it_is_to_run_it(ready: Host) -> None:
    shown = atomic(ready, "install", "--dry-run", "--name=pluto", ONCE)
    assert shown.stdout.endswith("once, as pluto, and remove it\n")
    for _ in range(2):  # what it writes is not there the next time
        done = atomic(ready, "install", "--name=pluto", "--set=RECEIVER=Saturn", "--set=STATUS=7",
                      ONCE, code=7)  # fmt: skip
        assert "HI Saturn from pluto\nimage x" in done.stdout
        assert_nothing_stays(ready)
    assert atomic(ready, "fsck").returncode == 0


def test_a_command_for_an_image(ready: Host) -> None:
    done = atomic(ready, "run", "--storage", "ostree", "--set=RECEIVER=x", ONCE,
                  "/bin/sh", "-c", "echo Hello World; exit 9", code=9)  # fmt: skip
    assert done.stdout == "Hello World\n"
    piped = ready.run(["atomic", "run", PLAIN, "/bin/cat"], input="through\n")
    assert piped.stdout == "through\n"
    assert_nothing_stays(ready)


def test_an_image_that_knows_nothing_of_all_this(ready: Host) -> None:
    refused = atomic(ready, "run", "--storage=ostree", PLAIN, code=4).stderr
    assert "doesn't exist, and its image is not one that runs once" in refused
    assert atomic(ready, "run", PLAIN, "/bin/echo", "plain").stdout == "plain\n"
    assert atomic(ready, "run", "plain:latest", "/bin/sh", "-c", "exit 3", code=3).stdout == ""
    assert atomic(ready, "run", "once", code=0).stdout.startswith("HI World from run-once-")
    assert_nothing_stays(ready)


def begin(host: Host, unit: str, *options: str) -> None:
    """Run the image in a unit, and wait until what it runs has begun."""
    words = ["systemd-run", f"--unit={unit}", "--description=run", "--property=RemainAfterExit=yes"]
    host.run([*words, *options, "atomic", "run", PLAIN, "/bin/sh", "-c", WAITS])
    wait_for(lambda: "begun" in host.journal(unit))


@pytest.mark.parametrize("signal", ["TERM", "HUP"])
def test_who_is_told_to_end_cleans_up(signal: str, ready: Host) -> None:
    unit = f"long-{signal}.service"
    begin(ready, unit)
    ready.run(["systemctl", "kill", f"--signal={signal}", "--kill-who=main", unit])
    wait_for(lambda: ready.systemctl_show(unit, "ActiveState")["ActiveState"] == "failed")
    assert ready.systemctl_show(unit, "ExecMainStatus") == {"ExecMainStatus": "5"}
    assert "told to end" in ready.journal(unit)
    assert_nothing_stays(ready)


def test_what_a_killed_one_leaves_goes_when_its_container_has_ended(ready: Host) -> None:
    begin(ready, "killed.service", "--property=KillMode=process")
    ready.run(["systemctl", "kill", "--signal=KILL", "--kill-who=main", "killed"])
    wait_for(
        lambda: ready.systemctl_show("killed.service", "ActiveState")["ActiveState"] == "failed"
    )
    atomic(ready, "images", "prune")
    assert len(list(ready.path(RUNS).iterdir())) == 1
    (container,) = ready.run(["runc", "list", "--quiet"]).stdout.split()
    ready.run(["runc", "delete", "--force", container])

    def pruned() -> bool:
        atomic(ready, "images", "prune")
        return not list(ready.path(RUNS).iterdir())

    wait_for(pruned)
    ready.run(["sh", "-c", "rm -rf /var/lib/run-once*"])
    assert_nothing_stays(ready)


def test_what_it_cannot_be(ready: Host) -> None:
    assert "Cannot use --detach" in atomic(ready, "run", "-d", PLAIN, code=2).stderr
    missing = atomic(ready, "run", "nobody", code=4).stderr
    assert "Unable to find the container nobody, nor an image" in missing
    assert (
        "the name of a container, or an image, is required" in atomic(ready, "run", code=2).stderr
    )
    atomic(ready, "install", "--name=mine", PLAIN)
    refused = atomic(ready, "run", "--set=A=b", "mine", "/bin/true", code=2).stderr
    assert "mine is an installed container" in refused
    assert atomic(ready, "run", "mine", "/bin/echo", "here").stdout == "here\n"
    assert "mine already present" in atomic(ready, "install", "--name=mine", ONCE).stdout
