# SPDX-License-Identifier: LGPL-2.1-or-later
"""The flannel agent's leases, over a real socket against a small etcd."""

from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network

import pytest

from images.flannel.agent.etcd import EtcdUnavailable, Gateway
from images.flannel.agent.leasing import Held, Registry
from images.flannel.agent.subnets import BadConfig, Lease, parse_config
from tests.unit.images.fake_etcd import FakeEtcd, serving

CONFIG = parse_config('{"Network": "10.84.0.0/22"}')  # 10.84.1, 10.84.2 and 10.84.3 can be leased
HERE, THERE = IPv4Address("192.0.2.1"), IPv4Address("192.0.2.2")
ONE, TWO, THREE = (IPv4Network(f"10.84.{n}.0/24") for n in (1, 2, 3))


@pytest.fixture
def etcd() -> Iterator[FakeEtcd]:
    with serving() as fake:
        yield fake


@pytest.fixture
def registry(etcd: FakeEtcd) -> Registry:
    return Registry(gateway=Gateway(endpoints=(etcd.url,)), prefix="/net", lease_seconds=30)


def lease_of(subnet: IPv4Network, address: IPv4Address) -> Lease:
    return Lease(subnet=subnet, public_ip=address, mac="aa:bb:cc:dd:ee:ff", vni=1)


def take(
    registry: Registry, address: IPv4Address = HERE, preferred: IPv4Network | None = None
) -> Held:
    return registry.take(CONFIG, lambda subnet: lease_of(subnet, address), address, preferred)


def occupy(etcd: FakeEtcd, subnet: IPv4Network, address: IPv4Address) -> None:
    lease = lease_of(subnet, address)
    etcd.write(f"/net/subnets/{lease.key}", lease.value)


def test_hosts_get_different_subnets(registry: Registry) -> None:
    assert take(registry, HERE).lease.subnet == ONE
    assert take(registry, THERE).lease.subnet == TWO
    assert registry.leases().keys() == {lease_of(ONE, HERE), lease_of(TWO, THERE)}


def test_a_host_gets_its_own_subnet_again(registry: Registry) -> None:
    take(registry, THERE)
    first = take(registry, HERE)
    again = take(registry, HERE, preferred=THREE)
    assert again.lease == first.lease
    assert again.id != first.id
    assert not registry.renew(first)  # the key lives by the new lease now
    assert registry.renew(again)


def test_the_subnet_of_the_last_run_is_preferred(registry: Registry) -> None:
    assert take(registry, preferred=THREE).lease.subnet == THREE


def test_a_preferred_subnet_that_another_host_has_is_left_to_it(
    registry: Registry, etcd: FakeEtcd
) -> None:
    occupy(etcd, THREE, THERE)
    assert take(registry, preferred=THREE).lease.subnet == ONE


def test_a_host_that_is_faster_wins(registry: Registry, etcd: FakeEtcd) -> None:
    faster = lease_of(ONE, THERE)
    etcd.before_txn = [(f"/net/subnets/{faster.key}", faster.value)]
    assert take(registry).lease.subnet == TWO
    assert faster in registry.leases()


def test_a_full_network_is_an_error(registry: Registry, etcd: FakeEtcd) -> None:
    for number, subnet in enumerate((ONE, TWO, THREE)):
        occupy(etcd, subnet, THERE + number)
    with pytest.raises(BadConfig, match="all subnets"):
        take(registry)


def test_a_lease_that_ended_is_not_renewed(registry: Registry, etcd: FakeEtcd) -> None:
    held = take(registry)
    assert registry.renew(held)
    etcd.end_lease(held.id)
    assert not registry.renew(held)
    assert registry.leases() == {}


def test_a_hostile_lease_is_ignored(registry: Registry, etcd: FakeEtcd) -> None:
    etcd.write("/net/subnets/10.84.1.0-24", '{"BackendType": "vxlan", "PublicIP": "-f"}')
    etcd.write("/net/subnets/--help", "{}")
    etcd.write("/net/subnetsX", "out of the range")
    assert registry.leases() == {}


def test_a_key_without_a_sensible_value_is_occupied(registry: Registry, etcd: FakeEtcd) -> None:
    etcd.write("/net/subnets/10.84.1.0-24", "{}")
    assert take(registry, preferred=ONE).lease.subnet == TWO


def test_the_default_network_is_written_once(registry: Registry, etcd: FakeEtcd) -> None:
    assert registry.config("") is None
    written = registry.config("10.99.0.0/16")
    assert written is not None and str(written.network) == "10.99.0.0/16"
    assert registry.config("10.11.0.0/16") == written


def test_the_network_of_a_faster_host_counts(registry: Registry, etcd: FakeEtcd) -> None:
    etcd.before_txn = [("/net/config", '{"Network": "10.7.0.0/16"}')]
    found = registry.config("10.99.0.0/16")
    assert found is not None and str(found.network) == "10.7.0.0/16"


def test_a_default_that_makes_no_sense_is_not_written(registry: Registry, etcd: FakeEtcd) -> None:
    with pytest.raises(BadConfig):
        registry.config("10.99.0.1/16")
    assert etcd.keys == {}


@pytest.mark.parametrize("answer", [b"[]", b"not json", b'{"error": "x", "code": 5}', b""])
def test_an_answer_without_sense_is_no_answer(etcd: FakeEtcd, answer: bytes) -> None:
    etcd.answer = answer
    with pytest.raises(EtcdUnavailable):
        Gateway(endpoints=(etcd.url,)).get("/net/config")


def test_an_endpoint_that_is_down_is_passed_over(etcd: FakeEtcd) -> None:
    etcd.write("/k", "v")
    found = Gateway(endpoints=("http://127.0.0.1:1", etcd.url)).get("/k")
    assert found is not None and found.value == "v"
    with pytest.raises(EtcdUnavailable, match=r"127\.0\.0\.1:1"):
        Gateway(endpoints=("http://127.0.0.1:1",)).get("/k")
