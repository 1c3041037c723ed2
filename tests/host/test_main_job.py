# SPDX-License-Identifier: LGPL-2.1-or-later
"""The main job: etcd before flannel before docker, as system containers, on a real systemd.

The tests run in the order of the file, each on what the steps before it made.
"""

import json
import shlex
from collections.abc import Iterator, Mapping

import pytest

from tests.host import scenario
from tests.host.chart import Start
from tests.host.host import Host
from tests.host.registry import Registry
from tests.host.scenario import CHAIN, REJECTED, Story
from tests.host.signing import vendor
from tests.host.snapshot import snapshot

pytestmark = pytest.mark.usefixtures("base")
ROLLED_BACK = 8


@pytest.fixture(scope="module")
def story(host: Host, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    """A host with the product, the images in its registry, and a policy that wants the vendor."""
    layouts = scenario.build_images(tmp_path_factory.mktemp("images"))
    with vendor() as signer:
        told = Story(
            host=host, registry=Registry(host=host), signer=signer, layouts=layouts, say=print
        )
        scenario.prepare(told)
        yield told


@pytest.fixture(scope="module")
def untouched(story: Story) -> Mapping[str, str]:
    """The host's files before anything is installed."""
    return snapshot(story.host)


@pytest.fixture(scope="module")
def running(story: Story, untouched: Mapping[str, str]) -> Story:
    """The story after the three are installed and docker is started."""
    installed = scenario.install_chain(story)
    for name in CHAIN:
        assert f"Extracting to /var/lib/containers/atomic/{name}.0" in installed[name].stdout
        state = story.host.systemctl_show(f"{name}.service", "ActiveState", "UnitFileState")
        assert state == {"ActiveState": "inactive", "UnitFileState": "enabled"}
    scenario.start_chain(story)
    return story


def assert_order(starts: tuple[Start, ...]) -> None:
    """Each was up before the next one began: by systemd's stamps, not by the order of asking."""
    etcd, flannel, docker = starts
    assert 0 < etcd.active < flannel.begun
    assert flannel.active < docker.begun


def test_each_is_up_before_the_next_begins(running: Story) -> None:
    assert_order(scenario.start_times(running))


def test_the_signer_is_on_record(running: Story) -> None:
    signed_by = scenario.signers(running)
    assert set(signed_by) == set(CHAIN)
    for name in CHAIN:
        assert running.signer.fingerprint in signed_by[name], signed_by[name]


def test_etcd_answers_and_has_flannels_lease(running: Story) -> None:
    said = scenario.ask_etcd(running)
    assert "is healthy" in said["health"]
    assert "/atomic.io/network/config" in said["keys"]
    assert "/atomic.io/network/subnets/" in said["keys"]


def test_docker_runs_a_container(running: Story) -> None:
    assert scenario.run_in_docker(running) == "hello from a container\n"


def test_images_go_to_the_engine_and_come_back(running: Story) -> None:
    """By save and by `docker-daemon:`; the image's id, which docker computes, stays."""
    name, policy = running.reference("etcd"), "/tmp/accept.json"
    running.host.write(policy, '{"default": [{"type": "insecureAcceptAnything"}]}')
    loaded = running.type(
        f"sh -c 'atomic images save {name} | runc exec docker docker load --quiet'"
    )
    assert loaded.stdout == f"Loaded image: {name}\n"
    shown = running.type(f"runc exec docker docker image inspect -f {{{{.Id}}}} {name}")
    stored = json.loads(running.type(f"atomic images inspect {name}").stdout)[0]
    assert shown.stdout.strip().endswith(stored["Id"].removeprefix("sha256:"))
    root = "/tmp/other-root"
    running.type(f"mkdir {root}")
    options = f"--root {root} --policy {policy}"
    for source in (f"docker-daemon:{name}", f"docker-daemon:{shown.stdout.strip()}"):
        running.type(f"atomic {options} pull {source}")
    again = json.loads(running.type(f"atomic {options} images inspect {name}").stdout)[0]
    assert again["Id"] == stored["Id"]
    refused = running.type(f"atomic pull docker-daemon:{name}", expect=(REJECTED,))
    assert "docker-daemon" in refused.stderr
    running.type(f"rm -r {root} {policy}")
    running.type(f"runc exec docker docker rmi {name}")


@pytest.fixture(scope="module")
def working(running: Story) -> Story:
    """The story with a container in docker that is to be there whatever happens, and with limits
    that show a failure soon: the runtime waits for READY=1 of a payload that has ended."""
    image = running.reference("busybox")
    running.type(f"runc exec docker docker pull --quiet {image}")
    options = "-d --init --name work --restart always"  # init, since sleep does not heed SIGTERM
    running.type(f"runc exec docker docker run {options} {image} sleep 3600")
    for name in CHAIN:
        limits = "[Service]\nTimeoutStartSec=6\nTimeoutStopSec=3\n"
        running.host.write(f"/etc/systemd/system/{name}.service.d/limits.conf", limits)
    running.host.run(["systemctl", "daemon-reload"])
    return running


def current(story: Story, name: str) -> str:
    """The deployment that the name leads to."""
    return story.host.run(["readlink", f"/var/lib/containers/atomic/{name}"]).stdout.strip()


def assert_all_work(story: Story) -> None:
    """The three run, etcd answers, and docker's container, which nobody has started again, does."""
    for name in CHAIN:
        state = story.host.systemctl_show(f"{name}.service", "ActiveState", "NeedDaemonReload")
        assert state == {"ActiveState": "active", "NeedDaemonReload": "no"}, name
        text = story.host.path(f"/etc/systemd/system/{name}.service").read_bytes()
        assert text == story.host.path(f"{current(story, name)}/{name}.service").read_bytes()
    assert "is healthy" in scenario.ask_etcd(story)["health"]
    assert story.type("runc exec docker docker exec work echo alive").stdout == "alive\n"
    assert scenario.run_in_docker(story) == "hello from a container\n"
    assert story.type("systemctl --failed --plain --no-legend").stdout == ""


@pytest.mark.parametrize(
    ("name", "value"),
    [("etcd", "ETCD_HEARTBEAT_INTERVAL=120"), ("flannel", "FLANNELD_POLL_SECONDS=4"),
     ("docker", "DOCKER_OPTIONS=--debug")],
)  # fmt: skip
def test_a_link_of_the_chain_is_updated(name: str, value: str, working: Story) -> None:
    assert_all_work(working)
    working.type(f"atomic containers update {name} --settle 1 --set {value}")
    assert current(working, name) == f"/var/lib/containers/atomic/{name}.1"
    assert_all_work(working)


@pytest.mark.parametrize(
    ("name", "value", "probe", "words"),
    [
        ("etcd", "ETCD_LISTEN_CLIENT_URLS=nonsense", "etcd.service: its job ", "nonsense"),
        ("flannel", "FLANNELD_IFACE=none0", "flannel.service: its job ", "none0"),
        ("docker", "DOCKER_OPTIONS=-H unix:///run/other.sock", "probe health: docker version",
         "API listen on /run/other.sock"),
    ],
)  # fmt: skip
def test_a_link_of_the_chain_fails_and_rolls_back(
    name: str, value: str, probe: str, words: str, working: Story
) -> None:
    before, assigned = current(working, name), shlex.quote(value)
    failed = working.type(
        f"atomic containers update {name} --settle 1 --set {assigned}", expect=[ROLLED_BACK]
    )
    line = f"Rolling back container {name} to the checkout at {before}"
    assert line in failed.stdout.splitlines()
    assert probe in failed.stderr
    last_words = quoted(failed.stderr, f"{name}.service")
    assert any(words in line for line in last_words), failed.stderr
    # Exactly that run's: the one before the last, which is the old service's.
    logged = "\n".join(logged_by_run(working, name, -2))
    assert "\n".join(last_words) in logged
    assert not any(line in "\n".join(logged_by_run(working, name, -1)) for line in last_words)
    assert current(working, name) == before
    assert_all_work(working)


def quoted(said: str, unit: str) -> list[str]:
    """The lines of the unit's journal that a command quotes."""
    start = f"  {unit}: "
    return [line.removeprefix(start) for line in said.splitlines() if line.startswith(start)]


def logged_by_run(story: Story, name: str, which: int) -> list[str]:
    """What one run of the unit logged, of those that it had, in their order."""
    story.host.run(["journalctl", "--sync"])
    shown = story.host.run(
        ["journalctl", "--boot", f"--unit={name}", "--output=json", "--all",
         "--output-fields=_SYSTEMD_INVOCATION_ID,MESSAGE"]
    ).stdout  # fmt: skip
    runs: dict[str, list[str]] = {}
    for entry in map(json.loads, shown.splitlines()):
        if (run := entry.get("_SYSTEMD_INVOCATION_ID")) is not None:
            runs.setdefault(run, []).append(entry["MESSAGE"])
    return list(runs.values())[which]


def test_after_a_reboot_all_is_up_in_the_same_order(working: Story) -> None:
    assert_order(scenario.reboot(working))
    assert_all_work(working)
    # Its networks and mounts are the host's: they would be left.
    working.type("runc exec docker docker rm --force work")
    for name in CHAIN:
        drop_in = working.host.path(f"/etc/systemd/system/{name}.service.d/limits.conf")
        drop_in.unlink()
        if not list(drop_in.parent.iterdir()):
            drop_in.parent.rmdir()
    working.host.run(["systemctl", "daemon-reload"])


def test_an_unsigned_image_is_refused_and_leaves_nothing(running: Story) -> None:
    refusal = scenario.refuse_unsigned(running)
    assert refusal.completed.returncode == REJECTED
    assert "hello-world" in refusal.completed.stderr
    assert refusal.completed.stdout == ""
    assert refusal.changes == ()


def test_uninstall_leaves_nothing_but_state(running: Story, untouched: Mapping[str, str]) -> None:
    leftovers = scenario.uninstall_chain(running, untouched)
    assert leftovers.changes == ()
    assert leftovers.units == ()
    assert leftovers.failed == ""
    # By contract, state and images stay until somebody asks for their removal.
    assert running.host.path("/var/lib/etcd").is_dir()
    assert not list(running.host.path("/var/lib/containers/atomic").glob("[a-z]*"))
