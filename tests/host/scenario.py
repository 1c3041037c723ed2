# SPDX-License-Identifier: LGPL-2.1-or-later
"""The main story, told once: etcd, then flannel, then docker, installed as system containers.

Promised: each step is a function that does it in a host by the commands a person would type, says
them and their output, and returns what can be judged; no step judges more than exit codes. The
demo prints the telling, the test asserts on what it returns.
"""

import json
import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.host.chart import Start
from tests.host.host import Host
from tests.host.process import ENVIRONMENT, Completed, HostError, run, tail
from tests.host.product import REPOSITORY, install_product
from tests.host.registry import Registry
from tests.host.signing import Vendor, publish, trust_only
from tests.host.snapshot import difference, snapshot

CHAIN = ("etcd", "flannel", "docker")  # in the order in which they must start
IMAGES = (*CHAIN, "busybox", "hello-world")
REJECTED = 6  # the contract's exit code for an image that the policy rejects
# Uninstalling keeps state and images, as the contract has it: what the payloads wrote, and the
# store. What they put into /run goes with the next boot.
STATE = ("/var/lib/etcd", "/var/lib/flannel", "/var/lib/docker", "/var/lib/containerd",
         "/opt/containerd", "/etc/docker")  # fmt: skip
STORE = ("/var/lib/containers", "/ostree/repo")
RUNTIME = ("/run/docker", "/run/docker.sock", "/run/docker.pid", "/run/containerd", "/run/runc",
           "/run/notify", "/run/xtables.lock", "/run/flannel", "/run/etcd")  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """Who takes part: a booted host, its registry, the vendor, the images, and who is told."""

    host: Host
    registry: Registry
    signer: Vendor
    layouts: Mapping[str, Path]
    say: Callable[[str], None] = print

    def reference(self, name: str) -> str:
        """The image's name in the registry."""
        return f"{self.registry.location}/{name}:latest"

    def type(
        self, command: str, *, expect: Sequence[int] = (0,), timeout: float = 300
    ) -> Completed:
        """Runs `command`, words as a shell would split them, in the host, and says it all.

        Raises HostError unless it exits with one of `expect`.
        """
        self.say(f"$ {command}")
        done = self.host.run(shlex.split(command), check=False, timeout=timeout)
        said = (done.stdout + done.stderr).rstrip()
        if said:
            self.say(said)
        if done.returncode not in expect:
            raise HostError(f"exit {done.returncode}, expected {expect}, of: {command}\n{said}")
        if done.returncode != 0:
            self.say(f"(exit {done.returncode})")
        return done


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """What came of an install that the policy forbids."""

    completed: Completed
    changes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Leftovers:
    """What uninstalling left: changed paths, units that systemd still knows, failed units."""

    changes: tuple[str, ...]
    units: tuple[str, ...]
    failed: str


def build_images(output: Path, say: Callable[[str], None] = print) -> dict[str, Path]:
    """Builds the example images of this repository; returns the OCI layout of each."""
    command = ["-m", "images.build", "--output", str(output), *IMAGES]
    say(f"$ python {shlex.join(command)}")
    # The builder finds its sources and the package from the repository's root.
    at_root = ["env", "--chdir", str(REPOSITORY), sys.executable]
    done = run([*at_root, *command], timeout=1800, environment=ENVIRONMENT)
    say((done.stdout + done.stderr).rstrip())
    return {name: output / name for name in IMAGES}


def prepare(story: Story) -> dict[str, str]:
    """The product, a registry with the images and the vendor's signatures, and a policy that
    trusts nobody else. hello-world stays unsigned. Returns the digests.
    """
    install_product(story.host)
    story.registry.start()
    trust_only(story.host, story.registry, story.signer)
    digests = {}
    for name, layout in story.layouts.items():
        reference = story.reference(name)
        story.say(f"$ skopeo copy --preserve-digests oci:{layout}:latest docker://{reference}")
        digests[name] = story.registry.push(layout, name)
        story.say(digests[name])
        if name in CHAIN:
            story.say(f"$ gpg --local-user {story.signer.fingerprint} --sign  # {reference}")
            signature = story.signer.sign(reference, digests[name])
            publish(story.host, name, digests[name], signature)
    story.type("cat /etc/containers/policy.json")
    return digests


def install_chain(story: Story) -> dict[str, Completed]:
    """Installs the three; nothing starts yet."""
    return {name: story.type(f"atomic install --system {story.reference(name)}") for name in CHAIN}


def start_chain(story: Story) -> None:
    """Starts docker, which must bring up what it needs before it.

    Raises HostError with what the three logged when it does not.
    """
    try:
        story.type("systemctl enable --now docker")
    except HostError as error:
        logs = "\n".join(tail(story.host.journal(f"{name}.service")) for name in CHAIN)
        raise HostError(f"{error}\n{logs}") from error


def start_times(story: Story) -> tuple[Start, ...]:
    """When each of the three began to start and was up in this boot, by systemd's own clock."""
    starts = []
    for name in CHAIN:
        unit = f"{name}.service"
        times = story.host.monotonic(unit)
        # A unit that is not up has an older stamp, or none, for `active`: that is no start time.
        state = story.host.systemctl_show(unit, "ActiveState")["ActiveState"]
        if state != "active":
            raise HostError(f"{unit} is {state}\n{story.host.journal(unit)}")
        starts.append(Start(unit=unit, begun=times.inactive_exit, active=times.active_enter))
    return tuple(starts)


def signers(story: Story) -> dict[str, str]:
    """Who signed each container, as `containers list` has it (JSON text, the product's own)."""
    for name in CHAIN:
        story.type(f"atomic containers status {name}")
    story.type("atomic containers list")
    listed = story.host.run(["atomic", "containers", "list", "--json"]).stdout
    return {entry["name"]: json.dumps(entry.get("signers")) for entry in json.loads(listed)}


def ask_etcd(story: Story) -> dict[str, str]:
    """What etcd says about itself, and what flannel wrote into it."""
    health = story.type("runc exec etcd etcdctl endpoint health")
    keys = story.type("runc exec etcd etcdctl get --prefix --keys-only /atomic.io/network")
    return {"health": health.stdout + health.stderr, "keys": keys.stdout}


def run_in_docker(story: Story) -> str:
    """What a container of the docker that is itself a system container prints."""
    image = story.reference("busybox")
    story.type(f"runc exec docker docker pull --quiet {image}")
    done = story.type(f"runc exec docker docker run --rm {image} echo hello from a container")
    story.type(f"runc exec docker docker run --rm {image} ip -4 address show dev eth0")
    return done.stdout


def reboot(story: Story) -> tuple[Start, ...]:
    """Reboots; nothing is typed. Returns the start times of the new boot."""
    story.say("$ reboot")
    story.host.reboot()
    return start_times(story)


def refuse_unsigned(story: Story) -> Refusal:
    """Tries to install an image that nobody signed."""
    before = snapshot(story.host)
    command = f"atomic install --system {story.reference('hello-world')}"
    completed = story.type(command, expect=[REJECTED])
    return Refusal(completed=completed, changes=difference(before, snapshot(story.host)))


def uninstall_chain(story: Story, before: Mapping[str, str]) -> Leftovers:
    """Uninstalls the three, dependents first; compares with `before`, taken before the install."""
    for name in reversed(CHAIN):
        story.type(f"atomic uninstall {name}")
    story.type("atomic containers list")
    known = [
        name
        for name in CHAIN
        if story.host.systemctl_show(name + ".service", "LoadState")["LoadState"] != "not-found"
    ]
    failed = story.type("systemctl --failed --plain --no-legend").stdout
    kept = (*STATE, *STORE, *RUNTIME)
    changes = difference(before, snapshot(story.host), kept=kept)
    return Leftovers(changes=changes, units=tuple(known), failed=failed)
