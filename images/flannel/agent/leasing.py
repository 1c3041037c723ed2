# SPDX-License-Identifier: LGPL-2.1-or-later
"""Taking a subnet and keeping it: transactions that succeed only if nobody was faster.

Promised: a subnet that this host had is taken again when nobody else has it; two agents never
hold the same one, because a key is created only if it is absent and overwritten only at the
revision that was read.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network

from images.flannel.agent.etcd import EtcdUnavailable, Gateway, KeyValue
from images.flannel.agent.subnets import (
    BadConfig,
    Lease,
    NetworkConfig,
    choose,
    config_text,
    parse_config,
    parse_lease,
    subnet_of,
)

log = logging.getLogger("flannel")
_ROUNDS = 100  # transactions that other hosts may win before this one pauses


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A lease of ours, and etcd's id of the lease that its key lives by."""

    lease: Lease
    id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Registry:
    """The network's keys below `prefix`. Every call may raise EtcdUnavailable."""

    gateway: Gateway
    prefix: str
    lease_seconds: int

    def config(self, default: str) -> NetworkConfig | None:
        """The network's configuration; `default`, when it is not empty, is written if there is
        none.

        None when there is no configuration yet; raises BadConfig when it makes no sense.
        """
        key = f"{self.prefix}/config"
        found = self.gateway.get(key)
        if found is None and default:
            parse_config(default)
            if self.gateway.put(key, config_text(default)):
                log.info("no network was configured: wrote %s", key)
            found = self.gateway.get(key)
        return None if found is None else parse_config(found.value)

    def leases(self) -> dict[Lease, int]:
        """All valid leases and the revision of each."""
        return _leases(self._items())

    def _items(self) -> list[KeyValue]:
        return self.gateway.below(f"{self.prefix}/subnets/")

    def take(
        self,
        config: NetworkConfig,
        make_lease: Callable[[IPv4Network], Lease],
        address: IPv4Address,
        preferred: IPv4Network | None,
    ) -> Held:
        """Lease a subnet: the one that `address` has, else the preferred one, else a free one.

        Raises BadConfig when the network is full.
        """
        lease_id = self.gateway.grant(self.lease_seconds)
        for _ in range(_ROUNDS):
            items = self._items()
            present = _leases(items)
            own = [o for o in present if o.public_ip == address and config.holds(o.subnet)]
            # also by keys whose values make no sense: they cannot be created again either
            taken = {subnet for item in items if (subnet := subnet_of(item.key)) is not None}
            subnet = own[0].subnet if own else choose(config, taken, preferred)
            if subnet is None:
                raise BadConfig(f"all subnets of {config.network} are leased")
            lease = make_lease(subnet)
            revision = present[own[0]] if own else 0
            key = f"{self.prefix}/subnets/{lease.key}"
            if self.gateway.put(key, lease.value, lease=lease_id, revision=revision):
                log.info("leased %s for %d seconds", subnet, self.lease_seconds)
                return Held(lease=lease, id=lease_id)
            log.info("another host was faster to lease %s", subnet)
        raise EtcdUnavailable(f"every one of {_ROUNDS} transactions was refused")

    def renew(self, held: Held) -> bool:
        """Keep the lease for another time; False when it has ended or the key is no longer ours."""
        key = f"{self.prefix}/subnets/{held.lease.key}"
        found = self.gateway.get(key)
        return found is not None and found.lease == held.id and self.gateway.renew(held.id)


def _leases(items: list[KeyValue]) -> dict[Lease, int]:
    found = ((parse_lease(item.key, item.value), item.revision) for item in items)
    return {lease: revision for lease, revision in found if lease is not None}
