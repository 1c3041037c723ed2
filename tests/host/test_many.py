# SPDX-License-Identifier: LGPL-2.1-or-later
"""A hundred containers on one host, and commands that come at once."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pytest

from tests.host.host import Host
from tests.host.many import install_many
from tests.host.process import Completed
from tests.host.service import CHECKOUTS, atomic

pytestmark = pytest.mark.usefixtures("base")
COUNT = 100
BUSY = 7
MONITOR = "bus-monitor"
LISTENED = "/run/bus-messages"


@dataclass(frozen=True, slots=True, kw_only=True)
class Many:
    """The host, and the names of its containers, all of which run."""

    host: Host
    names: Sequence[str]


@pytest.fixture(scope="module")
def many(host: Host, tmp_path_factory: pytest.TempPathFactory) -> Many:
    """A host with a hundred containers, which cannot be updated: nothing new is published."""
    return Many(host=host, names=install_many(host, COUNT, tmp_path_factory.mktemp("layouts")))


def calls_during(host: Host, *words: str) -> list[str]:
    """The methods that were called on the system's bus while the command ran, but for the
    greeting that opens each connection."""
    listen = ["busctl", "--json=short", "monitor"]
    options = [f"--unit={MONITOR}", f"--property=StandardOutput=file:{LISTENED}"]
    host.run(["systemd-run", "--quiet", "--collect", *options, *listen])
    host.run(["sh", "-c", f"until test -s {LISTENED}; do busctl status >/dev/null; done"])
    before = len(heard(host))
    atomic(host, *words)
    host.run(["busctl", "call", *BUS, "GetId"])  # what was said before this has been heard
    host.run(["sh", "-c", f"until grep -q GetId {LISTENED}; do sleep 0.05; done"])
    called = heard(host)[before:]
    host.run(["systemctl", "stop", MONITOR])
    host.run(["rm", LISTENED])
    return called


BUS = ("org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus")
OWN = ("Hello", "GetId", "StopUnit", "StartTransientUnit")


def heard(host: Host) -> list[str]:
    """The names of the methods so far, in their order."""
    lines = host.path(LISTENED).read_text().splitlines(keepends=True)
    messages = [json.loads(line) for line in lines if line[0] == "{" and line[-1] == "\n"]
    return [
        message["member"]
        for message in messages
        if message["type"] == "method_call" and message["member"] not in OWN
    ]


def test_a_list_of_a_hundred_takes_one_round_trip(many: Many) -> None:
    assert calls_during(many.host, "containers", "list") == ["ListUnitsByNames"]
    listed = atomic(many.host, "containers", "list", "--quiet").stdout.split()
    assert listed == list(many.names)


def test_with_what_is_enabled_it_takes_two(many: Many) -> None:
    called = calls_during(many.host, "containers", "list", "--json")
    assert called == ["ListUnitsByNames", "ListUnitFilesByPatterns"]


def test_the_list_is_what_systemd_says_of_each(many: Many) -> None:
    host, (first, second, third) = many.host, many.names[10:13]
    drop_in = f"/run/systemd/system/{second}.service.d/stay-failed.conf"
    host.write(drop_in, "[Service]\nRestart=no\n")
    host.run(["systemctl", "daemon-reload"])
    host.run(["systemctl", "stop", first])
    host.run(["systemctl", "kill", "--signal=KILL", second])
    host.run(["systemctl", "disable", third])
    try:
        host.run(["sh", "-c", f"until systemctl is-failed {second}; do sleep 0.05; done"])
        document = atomic(host, "containers", "list", "--all", "--json").stdout
        found = {entry["name"]: entry for entry in json.loads(document)}
        assert [found[name]["state"] for name in many.names[9:13]] == [
            "running", "inactive", "failed", "running",
        ]  # fmt: skip
        assert [found[name]["enabled"] for name in many.names[9:13]] == [True, True, True, False]
        assert set(found) == set(many.names)
    finally:
        host.run(["rm", drop_in])
        host.run(["systemctl", "daemon-reload"])
        host.run(["systemctl", "start", first, second])
        host.run(["systemctl", "enable", third])


def at_once(host: Host, *commands: str) -> list[Completed]:
    """Runs the commands at the same time, in shells; what each says is in its `stdout`."""
    script = "".join(
        f"({command}) >/run/said-{number} 2>&1 & p{number}=$!; "
        for number, command in enumerate(commands)
    ) + "".join(f"wait $p{number}; echo $?; " for number, _ in enumerate(commands))
    codes = host.run(["sh", "-c", script], timeout=180).stdout.split()
    found = []
    for number, (command, code) in enumerate(zip(commands, codes, strict=True)):
        said = host.path(f"/run/said-{number}")
        found.append(Completed(argv=(command,), returncode=int(code), stdout=said.read_text(),
                               stderr=""))  # fmt: skip
        said.unlink()
    return found


@pytest.fixture
def published(many: Many) -> Iterator[Many]:
    """The same host, and at the source of its containers an image that they do not have yet."""
    move = "cd /srv/versions && mv many old && mv other many"
    many.host.run(["sh", "-c", move])
    yield many
    many.host.run(["sh", "-c", "cd /srv/versions && mv many other && mv old many"])


def revision(host: Host, name: str) -> str:
    (entry,) = json.loads(atomic(host, "containers", "list", "--json", f"--filter=name={name}"
                                 ).stdout)  # fmt: skip
    assert entry["running"], name
    return str(entry["digest"])


def test_two_updates_of_one_container_at_once(published: Many) -> None:
    """One does it, and the other waits and finds it done; nothing is done twice."""
    host, name = published.host, published.names[20]
    before = revision(host, name)
    update = f"atomic containers update {name} --settle=0"
    said = at_once(host, update, update)
    assert [one.returncode for one in said] == [0, 0], said
    assert sorted("Latest version already installed." in one.stdout for one in said) == [
        False, True,
    ]  # fmt: skip
    assert revision(host, name) != before
    deployments = host.path(CHECKOUTS).glob(f"{name}.*")
    assert sorted(path.name for path in deployments) == [f"{name}.0", f"{name}.1"]


def test_who_does_not_wait_is_told(published: Many) -> None:
    host, name = published.host, published.names[21]
    update = f"atomic containers update {name}"
    first, *others = at_once(
        host,
        f"{update} --settle=3",
        # The first one is at work when its journal is there.
        f"until test -e {CHECKOUTS}/.journal/{name}; do sleep .01; done;"
        f" atomic --lock-timeout 0 containers update {name}",
        f"until test -e {CHECKOUTS}/.journal/{name}; do sleep .01; done;"
        f" atomic --lock-timeout 0 uninstall {name}",
    )
    assert first.returncode == 0, first
    for other in others:
        assert other.returncode == BUSY
        assert f"the container {name} is in use by another process" in other.stdout
    revision(host, name)


def test_updates_of_many_containers_at_once(published: Many) -> None:
    """They share the store and systemd, and get along."""
    host, names = published.host, published.names[30:34]
    before = {name: revision(host, name) for name in names}
    said = at_once(host, *(f"atomic containers update {name} --settle=0" for name in names))
    assert [one.returncode for one in said] == [0] * len(names), said
    after = {revision(host, name) for name in names}
    assert len(after) == 1
    assert after.isdisjoint(before.values())
    assert host.run(["systemctl", "--failed", "--plain", "--no-legend"]).stdout == ""
    assert list(host.path(f"{CHECKOUTS}/.journal").iterdir()) == []
