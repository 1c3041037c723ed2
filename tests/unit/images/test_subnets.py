# SPDX-License-Identifier: LGPL-2.1-or-later
"""The pure parts of the flannel agent: configuration, leases, files, entries for the kernel."""

import json
from ipaddress import IPv4Address, IPv4Network

import pytest

from images.flannel.agent import vxlan
from images.flannel.agent.settings import settings_from
from images.flannel.agent.subnets import (
    BadConfig,
    Lease,
    choose,
    config_text,
    docker_file,
    last_subnet,
    parse_config,
    parse_lease,
    subnet_file,
)

LEASE = Lease(
    subnet=IPv4Network("10.84.7.0/24"),
    public_ip=IPv4Address("192.0.2.7"),
    mac="02:00:00:00:00:07",
    vni=1,
)


@pytest.mark.parametrize(
    ("text", "first", "last", "count"),
    [
        ("10.84.0.0/16", "10.84.1.0/24", "10.84.255.0/24", 255),
        ('{"Network": "10.84.0.0/16"}', "10.84.1.0/24", "10.84.255.0/24", 255),
        ('{"Network": "10.1.0.0/16", "SubnetLen": 18}', "10.1.64.0/18", "10.1.192.0/18", 3),
        ('{"Network": "10.1.2.0/24"}', "10.1.2.128/25", "10.1.2.128/25", 1),
        (
            '{"Network": "10.1.0.0/16", "SubnetMin": "10.1.9.0", "SubnetMax": "10.1.11.0"}',
            "10.1.9.0/24",
            "10.1.11.0/24",
            3,
        ),
    ],
)
def test_subnets_of_a_network(text: str, first: str, last: str, count: int) -> None:
    subnets = list(parse_config(text).subnets())
    assert (str(subnets[0]), str(subnets[-1]), len(subnets)) == (first, last, count)
    assert all(parse_config(text).holds(subnet) for subnet in subnets)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nonsense",
        "{}",
        "{",
        '{"Network": "10.84.0.1/16"}',
        '{"Network": "10.84.0.0/16", "SubnetLen": 8}',
        '{"Network": "10.84.0.0/16", "SubnetLen": 31}',
        '{"Network": "10.84.0.0/16", "Backend": {"Type": "host-gw"}}',
        '{"Network": "10.84.0.0/16", "Backend": {"VNI": 0}}',
        '{"Network": "10.84.0.0/16", "Backend": []}',
        '{"Network": "fd00::/64"}',
    ],
)
def test_bad_configurations(text: str) -> None:
    with pytest.raises(BadConfig):
        parse_config(text)


def test_a_network_alone_is_written_as_flannel_wants_it() -> None:
    written = json.loads(config_text("10.84.0.0/16"))
    assert written == {"Network": "10.84.0.0/16", "Backend": {"Type": "vxlan"}}
    assert config_text('{"Network": "10.1.0.0/16"}') == '{"Network": "10.1.0.0/16"}'


def test_a_lease_is_read_back() -> None:
    assert LEASE.key == "10.84.7.0-24"
    assert parse_lease(f"/net/subnets/{LEASE.key}", LEASE.value) == LEASE


@pytest.mark.parametrize(
    ("key", "change"),
    [
        ("10.84.7.0", {}),
        ("10.84.7.1-24", {}),
        ("10.84.7.0-99", {}),
        ("10.84.7.0-24", {"PublicIP": "192.0.2.7 dev eth0"}),
        ("10.84.7.0-24", {"BackendType": "udp"}),
        ("10.84.7.0-24", {"BackendData": None}),
        ("10.84.7.0-24", {"BackendData": {"VtepMAC": "--batch"}}),
        ("10.84.7.0-24", {"BackendData": {"VtepMAC": "02:00:00:00:00:07", "VNI": []}}),
    ],
)
def test_what_is_no_lease(key: str, change: dict[str, object]) -> None:
    assert parse_lease(key, json.dumps(json.loads(LEASE.value) | change)) is None


def test_choice() -> None:
    config = parse_config('{"Network": "10.84.0.0/22"}')
    one, two = IPv4Network("10.84.1.0/24"), IPv4Network("10.84.2.0/24")
    assert choose(config, [], None) == one
    assert choose(config, [one], None) == two
    assert choose(config, [one], two) == two
    assert choose(config, [], IPv4Network("10.99.1.0/24")) == one
    assert choose(config, list(config.subnets()), one) is None


def test_files_for_container_daemons() -> None:
    config = parse_config("10.84.0.0/16")
    text = subnet_file(config, LEASE.subnet, 1450)
    assert text == (
        "FLANNEL_NETWORK=10.84.0.0/16\nFLANNEL_SUBNET=10.84.7.1/24\n"
        "FLANNEL_MTU=1450\nFLANNEL_IPMASQ=false\n"
    )
    assert last_subnet(text) == LEASE.subnet
    assert last_subnet("FLANNEL_SUBNET=x\n") is None
    assert last_subnet("") is None
    assert docker_file(LEASE.subnet, 1450) == (
        'DOCKER_NETWORK_OPTIONS=" --bip=10.84.7.1/24 --ip-masq=true --mtu=1450"\n'
    )


def test_entries_of_a_peer() -> None:
    assert vxlan.wanted([LEASE]) == {
        vxlan.Entry(kind=vxlan.Kind.ROUTE, key="10.84.7.0/24", value="10.84.7.0"),
        vxlan.Entry(kind=vxlan.Kind.NEIGHBOUR, key="10.84.7.0", value="02:00:00:00:00:07"),
        vxlan.Entry(kind=vxlan.Kind.FORWARDING, key="02:00:00:00:00:07", value="192.0.2.7"),
    }


def test_settings() -> None:
    empty = settings_from({"FLANNELD_ETCD_ENDPOINTS": "", "FLANNELD_LEASE_TTL": ""})
    assert empty == settings_from({})
    assert empty.endpoints == ("http://127.0.0.1:2379",)
    given = settings_from({
        "FLANNELD_ETCD_ENDPOINTS": "http://a:1/, http://b:2",
        "FLANNELD_ETCD_PREFIX": "/net/",
        "FLANNELD_FORWARD_RULES": "false",
    })
    assert given.endpoints == ("http://a:1", "http://b:2")
    assert given.prefix == "/net"
    assert given.forward_rules is False


@pytest.mark.parametrize(("ttl", "poll"), [("x", "5"), ("2", "0.1"), ("30", "11"), ("30", "0")])
def test_bad_settings(ttl: str, poll: str) -> None:
    with pytest.raises(BadConfig):
        settings_from({"FLANNELD_LEASE_TTL": ttl, "FLANNELD_POLL_SECONDS": poll})
