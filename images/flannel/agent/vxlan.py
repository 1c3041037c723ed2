# SPDX-License-Identifier: LGPL-2.1-or-later
"""The vxlan device and what the kernel must know about peers, by iproute2.

The device learns nothing by itself: each peer has one route (its subnet is behind its device's
address), one neighbour (that address has this MAC) and one forwarding entry (that MAC is at this
host). What the kernel has is read back and compared, so that a restart of the agent interrupts no
traffic.
"""

import json
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from ipaddress import IPv4Address, IPv4Network
from typing import Any

from images.flannel.agent.subnets import Lease, NetworkConfig

_OVERHEAD = 50  # bytes that IPv4, UDP, vxlan and the inner Ethernet header take of a packet
_LARGEST_MTU = 65535 - _OVERHEAD
_TIMEOUT = 10.0  # seconds


class NetworkFailed(Exception):
    """The kernel refused something, or a program is missing."""


class Kind(Enum):
    """The three tables that a peer has an entry in; removed in this order, made in the other."""

    ROUTE = "route"
    NEIGHBOUR = "neighbour"
    FORWARDING = "forwarding"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """`key` is a subnet, an address or a MAC; `value` is where it leads."""

    kind: Kind
    key: str
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Uplink:
    """The interface that traffic between hosts leaves by, and our address on it."""

    interface: str
    address: IPv4Address
    mtu: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """Our vxlan device."""

    name: str
    mac: str
    mtu: int


def find_uplink(interface: str, address: str) -> Uplink:
    """The uplink by name, by address, by the default route; loopback for a host that is alone."""
    if not interface and not address:
        routes = _read("ip", "-j", "-4", "route", "show", "default")
        interface = next((str(route["dev"]) for route in routes if "dev" in route), "lo")
    selection = ["dev", interface] if interface else ["to", f"{address}/32"]
    for link in _read("ip", "-j", "-4", "address", "show", *selection):
        for item in link.get("addr_info", ()):
            if address in {"", item["local"]}:
                found = IPv4Address(item["local"])
                return Uplink(interface=link["ifname"], address=found, mtu=int(link["mtu"]))
    raise NetworkFailed(f"no interface has an address that fits {interface or address}")


def make_device(config: NetworkConfig, uplink: Uplink) -> Device:
    """The vxlan device flannel.VNI, made anew when the one that is there differs."""
    name = f"flannel.{config.vni}"
    mtu = min(uplink.mtu - _OVERHEAD, _LARGEST_MTU)
    found = _read("ip", "-j", "-d", "link", "show", "type", "vxlan")
    present = next((link for link in found if link.get("ifname") == name), None)
    if present is not None and not _fits(present, config, uplink):
        _run("ip", "link", "delete", name)
        present = None
    if present is None:
        options = ["id", str(config.vni), "dstport", str(config.port), "local", str(uplink.address)]
        _run(
            "ip",
            "link",
            "add",
            name,
            "type",
            "vxlan",
            *options,
            "dev",
            uplink.interface,
            "nolearning",
        )
        (present,) = _read("ip", "-j", "link", "show", "dev", name)
    _run("ip", "link", "set", name, "mtu", str(mtu), "up")
    return Device(name=name, mac=present["address"], mtu=mtu)


def _fits(link: dict[str, Any], config: NetworkConfig, uplink: Uplink) -> bool:
    data = link["linkinfo"]["info_data"]
    wanted = (config.vni, config.port, str(uplink.address), uplink.interface, False)
    return wanted == tuple(data.get(k) for k in ("id", "port", "local", "link", "learning"))


def set_address(device: Device, subnet: IPv4Network) -> None:
    """Give the device the subnet's network address as /32, and no other."""
    wanted = f"{subnet.network_address}/32"
    (link,) = _read("ip", "-j", "-4", "address", "show", "dev", device.name) or [{}]
    held = [f"{item['local']}/{item['prefixlen']}" for item in link.get("addr_info", ())]
    for other in held:
        if other != wanted:
            _run("ip", "address", "delete", other, "dev", device.name)
    if wanted not in held:
        _run("ip", "address", "add", wanted, "dev", device.name)


def allow_forwarding(network: IPv4Network) -> None:
    """Let containers of different hosts talk: dockerd sets the policy of FORWARD to DROP."""
    for side in ("-s", "-d"):
        rule = ["FORWARD", side, str(network), "-j", "ACCEPT"]
        if _try("iptables", "-w", "-C", *rule).returncode != 0:
            _run("iptables", "-w", "-A", *rule)


def wanted(peers: Iterable[Lease]) -> frozenset[Entry]:
    """What the kernel must know about these peers."""
    entries: set[Entry] = set()
    for peer in peers:
        address = str(peer.subnet.network_address)
        entries |= {
            Entry(kind=Kind.ROUTE, key=str(peer.subnet), value=address),
            Entry(kind=Kind.NEIGHBOUR, key=address, value=peer.mac),
            Entry(kind=Kind.FORWARDING, key=peer.mac, value=str(peer.public_ip)),
        }
    return frozenset(entries)


def observed(device: Device) -> frozenset[Entry]:
    """What the kernel knows now."""
    routes = _read("ip", "-j", "-4", "route", "show", "dev", device.name)
    neighbours = _read(
        "ip", "-j", "-4", "neighbour", "show", "dev", device.name, "nud", "permanent"
    )
    forwarding = _read("bridge", "-j", "fdb", "show", "dev", device.name)
    return frozenset(
        [
            Entry(kind=Kind.ROUTE, key=item["dst"], value=item["gateway"])
            for item in routes
            if "gateway" in item
        ]
        + [Entry(kind=Kind.NEIGHBOUR, key=item["dst"], value=item["lladdr"]) for item in neighbours]
        + [
            Entry(kind=Kind.FORWARDING, key=item["mac"], value=item["dst"])
            for item in forwarding
            if "dst" in item
        ]
    )


def reconcile(
    device: Device, entries: frozenset[Entry]
) -> tuple[frozenset[Entry], frozenset[Entry]]:
    """Make the kernel know exactly `entries`; returns what was removed and what was added."""
    present = observed(device)
    stale, fresh = present - entries, entries - present
    order = list(Kind)
    for entry in sorted(stale, key=lambda entry: order.index(entry.kind)):
        _run(*_command(entry, device.name, "delete"))
    for entry in sorted(fresh, key=lambda entry: -order.index(entry.kind)):
        _run(*_command(entry, device.name, "replace"))
    return stale, fresh


def _command(entry: Entry, device: str, verb: str) -> Sequence[str]:
    match entry.kind:
        case Kind.ROUTE:
            path = ["via", entry.value, "dev", device, "onlink"]
            return ["ip", "route", verb, entry.key, *path]
        case Kind.NEIGHBOUR:
            value = ["lladdr", entry.value, "dev", device, "nud", "permanent"]
            return ["ip", "neighbour", verb, entry.key, *value]
        case Kind.FORWARDING:
            return ["bridge", "fdb", verb, entry.key, "dev", device, "dst", entry.value]


def _read(*argv: str) -> list[dict[str, Any]]:
    found = json.loads(_run(*argv) or "[]")
    # iproute2 prints an empty object for what a filter left out
    return [item for item in found if isinstance(item, dict) and item]


def _run(*argv: str) -> str:
    done = _try(*argv)
    if done.returncode != 0:
        raise NetworkFailed(f"{' '.join(argv)}: {done.stderr.strip() or done.returncode}")
    return done.stdout


def _try(*argv: str) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            argv,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_TIMEOUT,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NetworkFailed(f"{argv[0]}: {error}") from None
