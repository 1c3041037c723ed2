# SPDX-License-Identifier: LGPL-2.1-or-later
"""The main job: etcd before flannel before docker, as system containers, on a real systemd.

The tests run in the order of the file, each on what the steps before it made.
"""

import json
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


def update_etcd(story: Story, value: str, *expect: int) -> str:
    done = story.type(f"atomic containers update etcd --settle 2 --set {value}", expect=expect)
    for name in CHAIN:
        state = story.host.systemctl_show(f"{name}.service", "ActiveState")
        assert state == {"ActiveState": "active"}, name
    assert "is healthy" in scenario.ask_etcd(story)["health"]
    return done.stdout + done.stderr


def test_an_update_of_the_first_and_all_come_back(running: Story) -> None:
    update_etcd(running, "ETCD_HEARTBEAT_INTERVAL=120", 0)
    assert running.host.path("/var/lib/containers/atomic/etcd.1").is_dir()
    assert scenario.run_in_docker(running) == "hello from a container\n"


def test_an_update_that_fails_and_all_come_back(running: Story) -> None:
    # The runtime waits for a payload that has ended, until the unit's time is over.
    quick = "[Service]\nTimeoutStartSec=8\n"
    running.host.write("/etc/systemd/system/etcd.service.d/quick.conf", quick)
    said = update_etcd(running, "ETCD_LISTEN_CLIENT_URLS=nonsense", 8)
    assert (
        "Rolling back container etcd to the checkout at /var/lib/containers/atomic/etcd.1" in said
    )
    assert scenario.run_in_docker(running) == "hello from a container\n"
    drop_in = running.host.path("/etc/systemd/system/etcd.service.d/quick.conf")
    drop_in.unlink()
    drop_in.parent.rmdir()
    running.host.run(["systemctl", "daemon-reload"])


def test_after_a_reboot_all_is_up_in_the_same_order(running: Story) -> None:
    assert_order(scenario.reboot(running))
    assert "is healthy" in scenario.ask_etcd(running)["health"]
    assert scenario.run_in_docker(running) == "hello from a container\n"


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
