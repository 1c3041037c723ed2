# SPDX-License-Identifier: LGPL-2.1-or-later
"""What an image may call its state: a table of honest and of hostile declarations."""

import pytest

from atomic_sys.engine.declared import RemoveState
from atomic_sys.engine.state_rules import Facts, Owned, judge

CHECKOUTS = "/var/lib/containers/atomic"
ALL = Facts(ours=(CHECKOUTS, "/srv/store"), mounted=("/",))


@pytest.mark.parametrize(
    ("path", "base"),
    [
        ("/var/lib/etcd", "/var/lib"),
        ("/var/lib/etcd/node1.etcd", "/var/lib"),
        ("/var/log/etcd", "/var/log"),
        ("/srv/etcd", "/srv"),
        ("/var/lib/systemd-thing", "/var/lib"),
    ],
)
def test_state_goes(path: str, base: str) -> None:
    state = judge(path, ALL)
    assert (state.path, state.base, state.kept) == (path, base, None)
    assert state.removal() == RemoveState(base=base, path=path[len(base) + 1 :])
    assert state.removal().whole == path


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("/", "normal form"), ("", "normal form"), ("var/lib/x", "normal form"),
        ("//var/lib/x", "normal form"), ("/var/lib/", "normal form"),
        ("/var/lib/../../etc", "normal form"), ("/var/lib/x/..", "normal form"),
        ("/var/lib/./x", "normal form"), ("/var/lib/a\nb", "normal form"),
        ("/etc", "not below"), ("/etc/shadow", "not below"), ("/usr/lib/x", "not below"),
        ("/home/joe", "not below"), ("/root", "not below"), ("/var/lib", "not below"),
        ("/var", "not below"), ("/srv", "not below"), ("/run/x", "not below"),
        ("/var/library/x", "not below"), ("/var/www", "not below"),
        ("/var/lib/dpkg", "the system"), ("/var/lib/dpkg/info", "the system"),
        ("/var/lib/systemd", "the system"), ("/var/log/journal/x", "the system"),
        ("/var/lib/containers", "the system"), (f"{CHECKOUTS}/etcd.0", "the system"),
        ("/srv/store", "images and containers"), ("/srv/store/refs", "images and containers"),
    ],
)  # fmt: skip
def test_what_is_nobodys_state_stays(path: str, why: str) -> None:
    assert why in (judge(path, ALL).kept or "")


@pytest.mark.parametrize(
    ("chosen", "path", "goes"),
    [
        ("/data", "/data/etcd", True),
        ("/data", "/data", False),
        ("/data", "/other/etcd", False),
        ("/", "/etc", False),
        ("/etc", "/etc/ssh", False),
        ("/usr", "/usr/lib", False),
        ("/var", "/var/lib", False),
        ("/var", "/var/lib/dpkg", False),
        ("/home", "/home/joe", False),
        ("data", "/data/etcd", False),
        ("/data/..", "/etc", False),
        ("/var/lib/mine", "/var/lib/mine/etcd", True),
    ],
)
def test_a_state_directory_that_the_user_chose(chosen: str, path: str, *, goes: bool) -> None:
    assert (judge(path, Facts(chosen=chosen, mounted=("/",))).kept is None) is goes


@pytest.mark.parametrize(
    ("mounted", "goes"),
    [
        (("/var/lib/etcd",), True),  # itself
        (("/var/lib/etcd/data",), True),  # a part of it
        (("/var/lib",), True),  # all around it
        (("/",), True),
        (("/var/lib/mysql", "/var/lib/etcd2"), False),  # a service of the host has it
        ((), False),
    ],
)
def test_only_what_the_container_mounts_is_its_own(mounted: tuple[str, ...], *, goes: bool) -> None:
    assert (judge("/var/lib/etcd", Facts(mounted=mounted)).kept is None) is goes


@pytest.mark.parametrize(
    ("other", "why"),
    [
        (Owned(owner="b", state=("/var/lib/etcd",)), "it is the state of b too"),
        (Owned(owner="b", state=("/var/lib/etcd/b",)), "it is the state of b too"),
        (Owned(owner="b", state=("/var/lib/etcd2",)), None),
        (Owned(owner="b", mounted=("/var/lib/etcd",)), "b mounts it too"),
        (Owned(owner="b", mounted=("/var/lib/etcd/b",)), "b mounts it too"),
        (Owned(owner="b", mounted=("/", "/var/lib")), None),  # it sees everything, and owns nothing
    ],
)
def test_what_another_container_has_too_stays(other: Owned, why: str | None) -> None:
    assert judge("/var/lib/etcd", Facts(mounted=("/var/lib/etcd",), others=(other,))).kept == why
