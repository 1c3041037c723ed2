# SPDX-License-Identifier: LGPL-2.1-or-later
"""A root directory and a systemd that writes down what it is asked, for the tests of the engine."""

import contextlib
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from atomic_sys.engine.journal import Journal
from atomic_sys.engine.steps import Tools
from atomic_sys.model.names import ContainerName
from atomic_sys.model.record import Record
from atomic_sys.systemd.manager import Change, SystemdError, UnitDetails, UnitState

WANTS = "etc/systemd/system/multi-user.target.wants"


class FakeManager:
    """Enables by a link as systemd does; what is in `broken` fails when it is asked for."""

    online = True

    def __init__(self, root: Path, broken: frozenset[str] = frozenset()) -> None:
        self.root = root
        self.broken = broken
        self.calls: list[str] = []

    def _called(self, what: str, *units: str) -> None:
        self.calls.append(" ".join((what, *units)))
        if what in self.broken:
            raise SystemdError(f"{what} is broken")

    def reload(self) -> None:
        self._called("reload")

    def enable(self, units: Sequence[str]) -> tuple[Change, ...]:
        for unit in units:
            (self.root / WANTS / unit).symlink_to(f"/etc/systemd/system/{unit}")
        self._called("enable", *units)
        return ()

    def disable(self, units: Sequence[str]) -> tuple[Change, ...]:
        self._called("disable", *units)
        for unit in units:
            (self.root / WANTS / unit).unlink(missing_ok=True)
        return ()

    def start(self, unit: str, timeout: float = 0) -> None:
        del timeout
        self._called("start", unit)

    def restart(self, unit: str, timeout: float = 0) -> None:
        del timeout
        self._called("restart", unit)

    def stop(self, unit: str, timeout: float = 0) -> None:
        del timeout
        self._called("stop", unit)

    def reset_failed(self, unit: str) -> None:
        self._called("reset-failed", unit)

    def states(self, units: Sequence[str]) -> Mapping[str, UnitState]:
        return {unit: UnitState(load="loaded", active="active", sub="running") for unit in units}

    def details(self, unit: str) -> UnitDetails:
        del unit
        return UnitDetails()

    def unit_file_state(self, unit: str) -> str | None:
        del unit
        return None

    def properties(self, unit: str, names: Sequence[str]) -> Mapping[str, object]:
        del unit, names
        return {}


def make_root(directory: Path) -> Path:
    """A root with the directories that every Debian has."""
    root = directory / "root"
    for path in (WANTS, "etc/tmpfiles.d", "usr/bin", "var/lib/containers/atomic/.journal", "run"):
        (root / path).mkdir(parents=True)
    (root / "var/lib/containers/atomic/.journal").chmod(0o700)
    (root / "etc/hostname").write_text("here\n")
    (root / "bin").symlink_to("usr/bin")
    return root


def journal_of(root: int) -> Journal:
    """The journal of etcd."""
    return Journal(root, "/var/lib/containers/atomic", ContainerName.parse("etcd"))


@contextlib.contextmanager
def tools_for(root: Path, manager: FakeManager | None = None) -> Iterator[Tools]:
    """Tools for the root; the image's only file is /hello."""

    def check_out(_image: str, dfd: int, name: str) -> None:
        os.mkdir(name, dir_fd=dfd)
        with open(os.open(f"{name}/hello", os.O_CREAT | os.O_WRONLY, dir_fd=dfd), "w") as file:
            file.write("hello\n")

    fd = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield Tools(
            root=fd,
            root_path=str(root),
            manager=manager or FakeManager(root),
            check_out=check_out,
            protect=lambda _deployment: None,
            backup=journal_of(fd).backup,
            say=lambda _line: None,
            start_timeout=1,
        )
    finally:
        os.close(fd)


def record(**changes: object) -> Record:
    """A record of an installed etcd."""
    plain: dict[str, object] = {
        "image": "etcd",
        "revision": "1" * 64,
        "commit": "2" * 64,
        "created": 1700000000,
        "values": {"NAME": "etcd"},
    }
    return Record(**(plain | changes))  # type: ignore[arg-type]  # keywords of a test


def deploy(root: Path, name: str, number: int = 0, info: bytes | None = None) -> Path:
    """A deployment that the name points to; without `info` it has a good record."""
    checkouts = root / "var/lib/containers/atomic"
    path = checkouts / f"{name}.{number}"
    path.mkdir()
    (path / "info").write_bytes(record().to_json() if info is None else info)
    link = checkouts / name
    link.unlink(missing_ok=True)
    link.symlink_to(f"/var/lib/containers/atomic/{name}.{number}")
    return path
