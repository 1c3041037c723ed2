# SPDX-License-Identifier: LGPL-2.1-or-later
"""The flannel agent: lease a subnet in etcd, join the vxlan, tell the container daemon, say
READY=1.

Promised: READY=1 comes after the device is up and /run/flannel/{subnet.env,docker} are written.
SIGTERM ends the agent with 0 and leaves the lease, the device and its routes, so that a restart
interrupts no traffic. What cannot be repaired here ends it with 1, and its unit starts it again.
"""

import logging
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from ipaddress import IPv4Network
from types import FrameType
from typing import TypeVar

from images.flannel.agent import vxlan
from images.flannel.agent.etcd import EtcdUnavailable, Gateway
from images.flannel.agent.leasing import Held, Registry
from images.flannel.agent.settings import Settings, settings_from, write_atomically
from images.flannel.agent.subnets import (
    BadConfig,
    Lease,
    NetworkConfig,
    docker_file,
    last_subnet,
    subnet_file,
)

log = logging.getLogger("flannel")
_RETRY_SECONDS = 0.5
_Result = TypeVar("_Result")


class Stopped(Exception):
    """SIGTERM or SIGINT came."""


class SubnetLost(Exception):
    """Another host has our subnet; containers have addresses in it, so all must restart."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Membership:
    """What a host that has joined has; `take` leases a subnet, the given one if it is free."""

    config: NetworkConfig
    device: vxlan.Device
    take: Callable[[IPv4Network | None], Held]
    held: Held


@dataclass(frozen=True, slots=True, kw_only=True)
class Agent:
    """One host's part of the network."""

    settings: Settings
    registry: Registry
    stop: threading.Event

    def run(self) -> None:
        """Join the network and stay in it. Raises Stopped when asked to end.

        Until the first success every problem is waited out: a runtime that waits for READY=1 does
        not see that we ended, so ending would only look like hanging, and say less.
        """
        said = ""
        while True:
            try:
                membership = self.join()
                break
            except (BadConfig, vxlan.NetworkFailed, OSError) as error:
                if str(error) != said:
                    said = str(error)
                    log.warning("trying again until it works: %s", said)
            self.wait(_RETRY_SECONDS)
        notify("READY=1")
        log.info("ready: %s on %s", membership.held.lease.subnet, membership.device.name)
        self.stay(membership)

    def join(self) -> Membership:
        """Lease a subnet, make the device, learn the peers, write the files."""
        config = self.config()
        uplink = vxlan.find_uplink(self.settings.interface, self.settings.public_ip)
        device = vxlan.make_device(config, uplink)
        log.info("%s: vxlan over %s, address %s", device.name, uplink.interface, uplink.address)

        def make_lease(subnet: IPv4Network) -> Lease:
            return Lease(subnet=subnet, public_ip=uplink.address, mac=device.mac, vni=config.vni)

        take = partial(self.registry.take, config, make_lease, uplink.address)
        held = self.retried(lambda: take(self.last_subnet()))
        membership = Membership(config=config, device=device, take=take, held=held)
        vxlan.set_address(device, held.lease.subnet)
        if self.settings.forward_rules:
            vxlan.allow_forwarding(config.network)
        self.retried(partial(self.follow_peers, membership))
        self.publish(config, device, held.lease.subnet)
        return membership

    def stay(self, membership: Membership) -> None:
        """Renew the lease at each third of its time and follow the peers, until stopped."""
        due = time.monotonic() + self.settings.lease_seconds / 3
        while True:
            self.wait(self.settings.poll_seconds)
            there = self.retried(partial(self.is_there, membership.held))
            if time.monotonic() >= due or not there:
                held = self.retried(partial(self.kept, membership))
                membership = replace(membership, held=held)
                due = time.monotonic() + self.settings.lease_seconds / 3
            self.retried(partial(self.follow_peers, membership))

    def is_there(self, held: Held) -> bool:
        """Whether etcd still has our lease."""
        return held.lease in self.registry.leases()

    def kept(self, membership: Membership) -> Held:
        """The lease, renewed, or taken again when it had ended. Raises SubnetLost."""
        held = membership.held
        if self.registry.renew(held):
            return held
        log.warning("the lease of %s has ended: taking it again", held.lease.subnet)
        self.registry.config(self.settings.network_config)
        again = membership.take(held.lease.subnet)
        if again.lease.subnet != held.lease.subnet:
            raise SubnetLost(f"another host has {held.lease.subnet}")
        return again

    def follow_peers(self, membership: Membership) -> None:
        """Make the kernel's tables those of the leases that others hold now."""
        own = membership.held.lease
        peers = [
            lease
            for lease in self.registry.leases()
            if lease.subnet != own.subnet
            and lease.public_ip != own.public_ip
            and lease.vni == own.vni
            and membership.config.holds(lease.subnet)
        ]
        removed, added = vxlan.reconcile(membership.device, vxlan.wanted(peers))
        for verb, entries in (("lost", removed), ("found", added)):
            for entry in entries:
                if entry.kind is vxlan.Kind.ROUTE:
                    log.info("%s peer %s", verb, entry.key)

    def publish(self, config: NetworkConfig, device: vxlan.Device, subnet: IPv4Network) -> None:
        """Write the files that container daemons read."""
        directory = self.settings.directory
        directory.mkdir(parents=True, exist_ok=True)
        write_atomically(directory / "docker", docker_file(subnet, device.mtu))
        write_atomically(directory / "subnet.env", subnet_file(config, subnet, device.mtu))

    def config(self) -> NetworkConfig:
        """The network's configuration, as soon as etcd answers and somebody has written one."""
        said = False
        while True:
            found = self.retried(lambda: self.registry.config(self.settings.network_config))
            if found is not None:
                return found
            if not said:
                log.info("waiting for somebody to write %s/config", self.registry.prefix)
                said = True
            self.wait(_RETRY_SECONDS)

    def last_subnet(self) -> IPv4Network | None:
        """The subnet of the last run, from the file that it left."""
        try:
            return last_subnet((self.settings.directory / "subnet.env").read_text())
        except (OSError, UnicodeDecodeError):
            return None

    def retried(self, call: Callable[[], _Result]) -> _Result:
        """The call's result, as soon as etcd gives one."""
        said = ""
        while True:
            try:
                return call()
            except EtcdUnavailable as error:
                if str(error) != said:
                    said = str(error)
                    log.warning("waiting for etcd: %s", said)
            self.wait(_RETRY_SECONDS)

    def wait(self, seconds: float) -> None:
        """Wait, but not past a signal. Raises Stopped."""
        if self.stop.wait(seconds):
            raise Stopped


def notify(state: str) -> None:
    """Tell the service manager, if there is one (sd_notify(3))."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel:
        channel.connect("\0" + address[1:] if address.startswith("@") else address)
        channel.send(state.encode())


def main() -> int:
    """Run the agent; the exit status is 0 after a signal and 1 after an error."""
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="flannel: %(message)s")
    stop = threading.Event()

    def ask_to_stop(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, ask_to_stop)
    try:
        settings = settings_from(os.environ)
        gateway = Gateway(endpoints=settings.endpoints, tls=settings.tls)
        registry = Registry(
            gateway=gateway, prefix=settings.prefix, lease_seconds=settings.lease_seconds
        )
        Agent(settings=settings, registry=registry, stop=stop).run()
    except Stopped:
        log.info("asked to stop: the lease stays until its time is over")
        return 0
    except (BadConfig, vxlan.NetworkFailed, SubnetLost, OSError) as error:
        log.error("%s", error)  # noqa: TRY400 - one line for the operator, no traceback
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
