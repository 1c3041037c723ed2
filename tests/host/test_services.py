# SPDX-License-Identifier: LGPL-2.1-or-later
"""run, stop, exec, logs, ps and stats of a container on a real systemd, with the real runc."""

import json
import shutil
from pathlib import Path

import pytest

from tests.host.host import Host
from tests.host.process import Completed
from tests.host.product import install_product
from tests.support import images, layers

pytestmark = pytest.mark.usefixtures("base")
SERVE = "trap 'exit 0' TERM; echo I am up; while :; do /bin/busybox sleep 1 & wait; done"

# As the images of the predecessor have it, and what ends when SIGTERM ends it.
UNIT = b"[Service]\nExecStart=$EXEC_START\nExecStop=$EXEC_STOP\nWorkingDirectory=$DESTDIR\n"
KILLED = SERVE.replace("exit 0", "exit 143")


def atomic(host: Host, *words: str, code: int = 0) -> Completed:
    done = host.run(["atomic", *words], check=False, timeout=120)
    assert done.returncode == code, done
    return done


@pytest.fixture(scope="module")
def served(host: Host, tmp_path_factory: pytest.TempPathFactory) -> Host:
    """A host with the container `serve`, which does not run yet."""
    busybox = Path(str(shutil.which("busybox"))).read_bytes()
    content = [
        layers.file("bin/busybox", busybox, mode=0o755),
        layers.symlink("bin/sh", "busybox"),
        layers.directory("tmp", mode=0o1777),
    ]
    layouts = tmp_path_factory.mktemp("layouts")
    images.layout(layouts / "serve", content, {"Cmd": ["/bin/sh", "-c", SERVE]})
    own = layers.file("exports/service.template", UNIT)
    images.layout(layouts / "legacy", [*content, own], {"Cmd": ["/bin/sh", "-c", KILLED]})
    install_product(host)
    host.copy_in(layouts, "/srv/images")
    policy = {"default": [{"type": "insecureAcceptAnything"}]}
    host.write("/etc/containers/policy.json", json.dumps(policy))
    atomic(host, "install", "oci:/srv/images/serve")
    return host


def test_a_command_where_the_service_does_not_run(served: Host) -> None:
    done = atomic(served, "run", "serve", "/bin/sh", "-c", "echo $0 --json; exit 7", "-x", code=7)
    assert done.stdout == "-x --json\n"
    assert served.run(["runc", "list", "--quiet"]).stdout == ""
    assert "not running" in atomic(served, "containers", "exec", "serve", "true", code=1).stderr
    assert "not running" in atomic(served, "containers", "ps", "serve", code=1).stderr
    assert "--detach" in atomic(served, "run", "-d", "serve", "true", code=1).stderr


def test_the_life_of_a_service(served: Host) -> None:
    atomic(served, "run", "serve")
    assert served.systemctl_show("serve.service", "ActiveState") == {"ActiveState": "active"}

    done = atomic(served, "containers", "exec", "-w", "/tmp", "-e", "A=b c", "serve",
                  "/bin/sh", "-c", "pwd; echo $A; exit 3", code=3)  # fmt: skip
    assert done.stdout == "/tmp\nb c\n"
    assert atomic(served, "run", "serve", "/bin/busybox", "id", "-u").stdout == "0\n"

    found = json.loads(atomic(served, "containers", "ps", "--json", "serve").stdout)
    assert found[0]["command"].startswith("/bin/sh -c trap")
    assert {process["user"] for process in found} == {"root"}
    heading, first = atomic(served, "containers", "ps", "serve").stdout.splitlines()[:2]
    assert heading.split() == ["PID", "PPID", "USER", "STARTED", "TIME", "COMMAND"]
    assert first.split()[0] == str(found[0]["pid"])

    (usage,) = json.loads(atomic(served, "containers", "stats", "-i", "0.2", "--json").stdout)
    assert usage["name"] == "serve"
    assert usage["memory"] > 0
    assert usage["pids"] >= 1

    served.run(["journalctl", "--sync"])
    assert "I am up" in atomic(served, "containers", "logs", "-o", "cat", "serve").stdout
    assert (
        atomic(served, "containers", "logs", "-n", "1", "-o", "cat", "serve").stdout.count("\n")
        == 1
    )

    atomic(served, "stop", "serve")
    assert served.systemctl_show("serve.service", "ActiveState") == {"ActiveState": "inactive"}
    assert json.loads(atomic(served, "containers", "stats", "--json").stdout) == []
    atomic(served, "stop", "serve")


def test_a_stopped_service_of_an_old_image_has_not_failed(served: Host) -> None:
    atomic(served, "install", "--now", "--no-enable", "oci:/srv/images/legacy")
    atomic(served, "stop", "legacy")
    assert served.systemctl_show("legacy.service", "ActiveState") == {"ActiveState": "inactive"}


@pytest.mark.parametrize(
    "words",
    [["run", "nobody"], ["stop", "nobody"], ["containers", "exec", "nobody", "x"],
     ["containers", "ps", "nobody"], ["containers", "stats", "nobody"],
     ["containers", "logs", "nobody"]],
)  # fmt: skip
def test_a_container_that_is_not_there(served: Host, words: list[str]) -> None:
    assert "Unable to find the container nobody" in atomic(served, *words, code=4).stderr
