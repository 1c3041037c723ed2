# SPDX-License-Identifier: LGPL-2.1-or-later
"""Which policy is used: the one that is named, the user's own, /etc, /usr/share."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from atomic_sys.host import Host, HostOptions

REJECT = '{"default": [{"type": "reject"}]}'


@pytest.fixture
def home(tmp_path: Path) -> Path:
    own = tmp_path / "home/containers"
    (own / "registries.d").mkdir(parents=True)
    (own / "policy.json").write_text(REJECT)
    return tmp_path / "home"


def host(
    home: Path, options: HostOptions | None = None, environment: Mapping[str, str] | None = None
) -> Host:
    own = {"XDG_CONFIG_HOME": str(home)}
    return Host(options or HostOptions(), own | dict(environment or {}))


def test_the_users_own_goes_before_the_hosts(home: Path, tmp_path: Path) -> None:
    own = f"{home}/containers/policy.json"
    shared = ("/etc/containers/policy.json", "/usr/share/containers/policy.json")
    assert host(home).policy_paths == (own, *shared)
    assert host(home).policy.path == own
    assert host(home).registries_d == f"{home}/containers/registries.d"
    assert host(tmp_path / "none").policy_paths == shared
    assert host(tmp_path / "none").registries_d == "/etc/containers/registries.d"


def test_another_root_has_its_own(home: Path, tmp_path: Path) -> None:
    found = host(home, HostOptions(root=str(tmp_path)))
    etc, usr = found.policy_paths
    assert etc == f"{tmp_path}/etc/containers/policy.json"
    assert usr == f"{tmp_path}/usr/share/containers/policy.json"
    assert found.registries_d == f"{tmp_path}/etc/containers/registries.d"


def test_what_is_named_stands_alone(home: Path) -> None:
    named = HostOptions(policy="/p", registries_d="/d")
    assert host(home, named).policy_paths == ("/p",)
    assert host(home, named, {"TRUST_POLICY": "/r"}).policy_paths == ("/p",)
    assert host(home, None, {"TRUST_POLICY": "/r"}).policy_paths == ("/r",)
    both = {"TRUST_POLICY": "/r", "CONTAINERS_POLICY_JSON": "/q"}
    assert host(home, None, both).policy_paths == ("/q",)
    assert host(home, named).registries_d == "/d"
