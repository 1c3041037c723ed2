# SPDX-License-Identifier: LGPL-2.1-or-later
"""Networks, subnets and their leases: pure functions of what is in etcd.

Keys and values are the ones that flannel itself writes, so that hosts with either agent share a
network: PREFIX/config, and PREFIX/subnets/A.B.C.D-LEN with the holder's address and its device's
MAC.
"""

import ipaddress
import json
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from typing import Any

_MAC = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}")
_KEY = re.compile(r"(\d+\.\d+\.\d+\.\d+)-(\d+)")
_VXLAN_PORT = 8472  # the kernel's and flannel's default; IANA's 4789 came later
_LARGEST_VNI = (1 << 24) - 1


class BadConfig(Exception):
    """The network configuration in etcd, or in a setting, makes no sense."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkConfig:
    """The network that all hosts share; a host leases one subnet of `length` bits of it."""

    network: IPv4Network
    length: int
    first: IPv4Network
    last: IPv4Network
    vni: int = 1
    port: int = _VXLAN_PORT

    def subnets(self) -> Iterator[IPv4Network]:
        """All subnets that may be leased, lowest first."""
        for subnet in self.network.subnets(new_prefix=self.length):
            if self.first <= subnet <= self.last:
                yield subnet

    def holds(self, subnet: IPv4Network) -> bool:
        """Whether this subnet may be leased."""
        inside = subnet.subnet_of(self.network) and subnet.prefixlen == self.length
        return inside and self.first <= subnet <= self.last


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """Who holds a subnet: the address that its traffic goes to, the MAC of the device there."""

    subnet: IPv4Network
    public_ip: IPv4Address
    mac: str
    vni: int

    @property
    def key(self) -> str:
        """The last part of the lease's key."""
        return f"{self.subnet.network_address}-{self.subnet.prefixlen}"

    @property
    def value(self) -> str:
        """The lease's value, as flannel writes it."""
        return json.dumps({
            "PublicIP": str(self.public_ip),
            "PublicIPv6": None,
            "BackendType": "vxlan",
            "BackendData": {"VNI": self.vni, "VtepMAC": self.mac},
        })


def parse_config(text: str) -> NetworkConfig:
    """The configuration from its JSON, or from nothing but a network (`10.84.0.0/16`).

    Raises BadConfig, also for a backend that is not vxlan.
    """
    try:
        raw: dict[str, Any] = json.loads(config_text(text))
        network = IPv4Network(raw["Network"])
        length = int(raw.get("SubnetLen", 24 if network.prefixlen < 24 else network.prefixlen + 1))
        backend = raw.get("Backend", {})
        # flannel leaves the first subnet alone: its network address is the whole network's
        default = int(network.network_address) + (1 << (32 - length))
        low = IPv4Address(raw.get("SubnetMin", default))
        high = IPv4Address(raw.get("SubnetMax", int(network.broadcast_address)))
        config = NetworkConfig(
            network=network,
            length=length,
            first=IPv4Network((int(low) >> (32 - length) << (32 - length), length)),
            last=IPv4Network((int(high) >> (32 - length) << (32 - length), length)),
            vni=int(backend.get("VNI", 1)),
            port=int(backend.get("Port", 0)) or _VXLAN_PORT,
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadConfig(f"not a network configuration: {text[:200]!r}: {error}") from None
    if backend.get("Type", "vxlan") != "vxlan":
        raise BadConfig(f"the backend {backend['Type']} is not supported, only vxlan is")
    if not network.prefixlen < length <= 30 or not 0 < config.vni <= _LARGEST_VNI:
        raise BadConfig(f"the subnet length or the VNI does not fit: {text[:200]!r}")
    return config


def config_text(config: str) -> str:
    """What to write into etcd for a setting that is JSON already, or only a network."""
    if config.lstrip().startswith("{"):
        return config
    return json.dumps({"Network": config.strip(), "Backend": {"Type": "vxlan"}})


def subnet_of(key: str) -> IPv4Network | None:
    """The subnet that a key stands for, whatever its value is; None when it is no subnet's key."""
    match = _KEY.fullmatch(key.rpartition("/")[2])
    try:
        return None if match is None else IPv4Network(f"{match[1]}/{match[2]}")
    except ValueError:
        return None


def parse_lease(key: str, value: str) -> Lease | None:
    """The lease of a key and value; None when it is no vxlan lease. Peers may be hostile."""
    subnet = subnet_of(key)
    try:
        raw = json.loads(value)
        if subnet is None or raw["BackendType"] != "vxlan":
            return None
        mac = str(raw["BackendData"]["VtepMAC"]).lower()
        lease = Lease(
            subnet=subnet,
            public_ip=IPv4Address(raw["PublicIP"]),
            mac=mac,
            vni=int(raw["BackendData"].get("VNI", 1)),
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    return lease if _MAC.fullmatch(mac) else None


def choose(
    config: NetworkConfig, taken: Collection[IPv4Network], preferred: IPv4Network | None
) -> IPv4Network | None:
    """The preferred subnet if it may be leased and is free, else the lowest free one, else None."""
    if preferred is not None and config.holds(preferred) and preferred not in taken:
        return preferred
    return next((subnet for subnet in config.subnets() if subnet not in taken), None)


def gateway_of(subnet: IPv4Network) -> ipaddress.IPv4Interface:
    """The address that the container bridge of this host gets: the first of the subnet."""
    return ipaddress.IPv4Interface((subnet.network_address + 1, subnet.prefixlen))


def subnet_file(config: NetworkConfig, subnet: IPv4Network, mtu: int) -> str:
    """/run/flannel/subnet.env, as flannel and its CNI plugin have it."""
    return (
        f"FLANNEL_NETWORK={config.network}\nFLANNEL_SUBNET={gateway_of(subnet)}\n"
        f"FLANNEL_MTU={mtu}\nFLANNEL_IPMASQ=false\n"
    )


def docker_file(subnet: IPv4Network, mtu: int) -> str:
    """/run/flannel/docker: an environment file; nobody else masquerades here, so docker does."""
    return f'DOCKER_NETWORK_OPTIONS=" --bip={gateway_of(subnet)} --ip-masq=true --mtu={mtu}"\n'


def last_subnet(text: str) -> IPv4Network | None:
    """The subnet that a former run wrote into subnet.env."""
    for line in text.splitlines():
        name, _, value = line.partition("=")
        if name == "FLANNEL_SUBNET":
            try:
                return ipaddress.IPv4Interface(value).network
            except ValueError:
                return None
    return None
