# SPDX-License-Identifier: LGPL-2.1-or-later
"""The flannel image's agent on two hosts (network namespaces), with the etcd image's etcd."""

import itertools
import os
import selectors
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

import pytest

from images.build import build
from images.flannel.agent.subnets import Lease
from images.layout import Layout

pytestmark = pytest.mark.conformance
LIMIT = 30.0  # seconds for anything to happen
FAST = {"FLANNELD_POLL_SECONDS": "0.2", "FLANNELD_LEASE_TTL": "60"}
NETWORK_CONFIG = "10.84.0.0/16"
TURNS = itertools.count()  # each test has directories and namespaces of its own


@pytest.fixture(scope="module")
def roots(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    scratch = tmp_path_factory.mktemp("images")
    for name in build(["etcd", "flannel"], scratch / "layouts"):
        Layout(path=scratch / "layouts" / name, epoch=0).unpack(scratch / name)
    return {name: scratch / name / "rootfs" for name in ("etcd", "flannel")}


def ip(*arguments: str) -> str:
    return subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True).stdout


@dataclass
class Host:
    """A network namespace with an address on a network that the other host is on too."""

    namespace: str
    address: str
    stack: ExitStack
    output: dict[int, str] = field(default_factory=dict)

    def command(self, root: Path, *argv: str) -> list[str]:
        """The program in the image and in this namespace, with the machine's /dev."""
        mounted = 'mount --rbind /dev "$1/dev" && exec chroot "$@"'
        inside = ["nsenter", f"--net=/run/netns/{self.namespace}", "unshare", "--mount"]
        return [*inside, "sh", "-c", mounted, "sh", os.fspath(root), *argv]

    def start(self, root: Path, *argv: str, **environment: str) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            self.command(root, *argv),
            env={"PATH": "/usr/bin:/usr/sbin", **environment},
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        self.stack.callback(stop, process)
        self.output[process.pid] = ""
        return process

    def run(self, root: Path, *argv: str) -> str:
        command = self.command(root, *argv)
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    def wait_for(self, process: subprocess.Popen[bytes], text: str) -> None:
        """Read what the process says until it says this; forget all up to there."""
        assert process.stderr is not None
        deadline = time.monotonic() + LIMIT
        with selectors.DefaultSelector() as selector:
            selector.register(process.stderr, selectors.EVENT_READ)
            while text not in self.output[process.pid]:
                assert selector.select(deadline - time.monotonic()), self.output[process.pid]
                said = os.read(process.stderr.fileno(), 1 << 16)
                assert said, f"ended before it said {text!r}: {self.output[process.pid]}"
                self.output[process.pid] += said.decode()
        self.output[process.pid] = self.output[process.pid].partition(text)[2]


def stop(process: subprocess.Popen[bytes], number: signal.Signals = signal.SIGKILL) -> int:
    process.send_signal(number)
    status = process.wait(timeout=LIMIT)
    assert process.stderr is not None
    process.stderr.close()
    return status


@pytest.fixture
def hosts() -> Iterator[tuple[Host, Host]]:
    """Two hosts, 192.0.2.1 and 192.0.2.2, joined by a cable."""
    turn = next(TURNS)
    with ExitStack() as stack:
        one, two = (
            Host(f"flannel-{os.getpid()}-{turn}-{n}", f"192.0.2.{n}", stack) for n in (1, 2)
        )
        for host in (one, two):
            ip("netns", "add", host.namespace)
            stack.callback(ip, "netns", "delete", host.namespace)
            ip("-n", host.namespace, "link", "set", "lo", "up")
        peer = ["peer", "name", "eth0", "netns", two.namespace]
        ip("-n", one.namespace, "link", "add", "eth0", "type", "veth", *peer)
        for host in (one, two):
            ip("-n", host.namespace, "address", "add", f"{host.address}/24", "dev", "eth0")
            ip("-n", host.namespace, "link", "set", "eth0", "up")
            ip("-n", host.namespace, "route", "add", "default", "dev", "eth0")
        yield one, two


def start_etcd(host: Host, root: Path, data: str) -> subprocess.Popen[bytes]:
    url = f"http://{host.address}:2379"
    return host.start(
        root,
        "/usr/libexec/etcd/start",
        ETCD_NAME="default",
        ETCD_DATA_DIR=data,
        ETCD_LISTEN_CLIENT_URLS=url,
        ETCD_ADVERTISE_CLIENT_URLS=url,
        ETCD_LISTEN_PEER_URLS="http://127.0.0.1:2380",
        ETCD_INITIAL_ADVERTISE_PEER_URLS="http://127.0.0.1:2380",
        ETCD_SNAPSHOT_COUNT="",
        ETCD_LOGGER="zap",
    )


def start_agent(host: Host, root: Path, **settings: str) -> subprocess.Popen[bytes]:
    return host.start(
        root,
        *("/usr/bin/python3", "-m", "images.flannel.agent"),
        PYTHONPATH="/usr/lib/flannel",
        PYTHONDONTWRITEBYTECODE="1",
        FLANNELD_ETCD_ENDPOINTS="http://192.0.2.1:2379",
        FLANNELD_RUN_DIRECTORY=f"/run/flannel/{host.namespace}",
        **{**FAST, "FLANNELD_NETWORK_CONFIG": NETWORK_CONFIG, **settings},
    )


def etcdctl(host: Host, root: Path, *arguments: str) -> str:
    return host.run(root, "etcdctl", "--endpoints=http://192.0.2.1:2379", *arguments)


def test_two_hosts_talk(roots: Mapping[str, Path], hosts: tuple[Host, Host]) -> None:
    one, two = hosts
    first = start_agent(one, roots["flannel"])
    one.wait_for(first, "waiting for etcd")
    etcd = start_etcd(one, roots["etcd"], "/var/lib/etcd/talk")
    one.wait_for(etcd, "serving")
    one.wait_for(first, "ready: 10.84.1.0/24 on flannel.1")
    second = start_agent(two, roots["flannel"])
    two.wait_for(second, "ready: 10.84.2.0/24 on flannel.1")
    one.wait_for(first, "found peer 10.84.2.0/24")

    # what a container daemon would do: an address of the subnet on a bridge of its own
    for number, host in enumerate(hosts, start=1):
        run = roots["flannel"] / "run/flannel" / host.namespace
        mtu = 1450  # 1500 of the cable, less the vxlan headers
        assert (run / "docker").read_text() == (
            f'DOCKER_NETWORK_OPTIONS=" --bip=10.84.{number}.1/24 --ip-masq=true --mtu={mtu}"\n'
        )
        assert f"FLANNEL_SUBNET=10.84.{number}.1/24\n" in (run / "subnet.env").read_text()
        ip("-n", host.namespace, "link", "add", "cni0", "type", "bridge")
        ip("-n", host.namespace, "address", "add", f"10.84.{number}.1/24", "dev", "cni0")
        ip("-n", host.namespace, "link", "set", "cni0", "up")
        assert "-A FORWARD -s 10.84.0.0/16 -j ACCEPT" in host.run(
            roots["flannel"], "iptables", "-S", "FORWARD"
        )
    ping = ("ping", "-c", "1", "-W", "10", "-I")
    one.run(roots["etcd"], "busybox", *ping, "10.84.1.1", "10.84.2.1")
    two.run(roots["etcd"], "busybox", *ping, "10.84.2.1", "10.84.1.1")

    assert "10.84.2.0/24 via 10.84.2.0" in ip("-n", one.namespace, "route")
    forwarding = one.run(roots["flannel"], "bridge", "fdb", "show", "dev", "flannel.1")
    assert "dst 192.0.2.2" in forwarding

    # a host that is gone for good: its lease ends, and so does the way there
    assert stop(second, signal.SIGTERM) == 0
    etcdctl(one, roots["etcd"], "del", "/atomic.io/network/subnets/10.84.2.0-24")
    one.wait_for(first, "lost peer 10.84.2.0/24")
    assert "10.84.2.0" not in ip("-n", one.namespace, "route")
    forwarding = one.run(roots["flannel"], "bridge", "fdb", "show", "dev", "flannel.1")
    assert "dst 192.0.2.2" not in forwarding


def test_a_restart_changes_nothing(roots: Mapping[str, Path], hosts: tuple[Host, Host]) -> None:
    one, _ = hosts
    etcd = start_etcd(one, roots["etcd"], "/var/lib/etcd/restart")
    one.wait_for(etcd, "serving")
    first = start_agent(one, roots["flannel"])
    one.wait_for(first, "ready: 10.84.1.0/24")
    device = ip("-n", one.namespace, "link", "show", "flannel.1")
    assert stop(first, signal.SIGTERM) == 0
    assert "10.84.1.0-24" in etcdctl(one, roots["etcd"], "get", "--prefix", "/")

    again = start_agent(one, roots["flannel"])
    one.wait_for(again, "ready: 10.84.1.0/24")
    assert ip("-n", one.namespace, "link", "show", "flannel.1") == device

    # all of etcd is lost: the same subnet is taken again, though a lower one would be free
    etcdctl(one, roots["etcd"], "del", "--prefix", "/")
    one.wait_for(again, "leased 10.84.1.0/24")
    # the lease ends by itself, and another host is faster: addresses in use would be wrong
    lease = Lease(
        subnet=IPv4Network("10.84.1.0/24"),
        public_ip=IPv4Address("192.0.2.9"),
        mac="02:00:00:00:00:09",
        vni=1,
    ).value
    etcdctl(one, roots["etcd"], "put", "/atomic.io/network/subnets/10.84.1.0-24", lease)
    one.wait_for(again, "another host has 10.84.1.0/24")
    assert again.wait(timeout=LIMIT) == 1


def test_lease_is_renewed(roots: Mapping[str, Path], hosts: tuple[Host, Host]) -> None:
    """A lease of three seconds is still the same one after as many renewals as it takes."""
    one, _ = hosts
    etcd = start_etcd(one, roots["etcd"], "/var/lib/etcd/renew")
    one.wait_for(etcd, "serving")
    agent = start_agent(one, roots["flannel"], FLANNELD_LEASE_TTL="3")
    one.wait_for(agent, "ready")
    key = "/atomic.io/network/subnets/10.84.1.0-24"
    before = etcdctl(one, roots["etcd"], "get", "-w", "fields", key)
    # a lease of our own, granted now with a longer life, is the clock: when it has ended, so
    # would the agent's have, had nobody renewed it
    watch = one.start(roots["etcd"], "sh", "-c", _WATCH)
    one.wait_for(watch, "DELETE")
    after = etcdctl(one, roots["etcd"], "get", "-w", "fields", key)

    def lease_of(fields: str) -> list[str]:
        return [line for line in fields.splitlines() if line.startswith(('"Lease"', '"ModRev'))]

    assert lease_of(after) == lease_of(before) != []


_WATCH = """
ctl="etcdctl --endpoints=http://192.0.2.1:2379"
lease=$($ctl lease grant 5 | sed 's/lease \\([0-9a-f]*\\).*/\\1/')
$ctl put --lease="$lease" /clock ticking >&2
exec $ctl watch --rev=1 /clock >&2
"""


def test_ready_is_told_once_all_is_there(
    roots: Mapping[str, Path], hosts: tuple[Host, Host]
) -> None:
    one, _ = hosts
    etcd = start_etcd(one, roots["etcd"], "/var/lib/etcd/ready")
    one.wait_for(etcd, "serving")
    run = roots["flannel"] / "run/flannel"
    directory = os.open(run, os.O_RDONLY | os.O_DIRECTORY)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        # by descriptor, since a socket's path may not be longer than 107 characters
        manager.bind(f"/proc/self/fd/{directory}/manager")
        os.close(directory)
        manager.settimeout(LIMIT)
        socket_name = {"NOTIFY_SOCKET": "/run/flannel/manager"}
        agent = start_agent(one, roots["flannel"], FLANNELD_NETWORK_CONFIG="", **socket_name)
        one.wait_for(agent, "waiting for somebody to write /atomic.io/network/config")
        assert not (run / one.namespace).exists()
        etcdctl(
            one, roots["etcd"], "put", "/atomic.io/network/config", '{"Network": "10.9.0.0/16"}'
        )
        assert manager.recv(100) == b"READY=1"
        assert "10.9.1.1/24" in (run / one.namespace / "docker").read_text()
    (run / "manager").unlink()
