# SPDX-License-Identifier: LGPL-2.1-or-later
"""Which deployments are kept, and which names have any."""

import os
from pathlib import Path

import pytest

from atomic_sys.cli.output import Output
from atomic_sys.cli.progress import PlainReport
from atomic_sys.engine.observe import deployed_names
from atomic_sys.fs.lock import key_locked
from atomic_sys.host import Host, HostOptions
from atomic_sys.paths import Paths
from atomic_sys.verbs.collecting import choose, collect_every
from tests.unit.engine.hosts import deploy, make_root, record

CHECKOUTS = "var/lib/containers/atomic"
AGES = {0: 100, 1: 300, 2: 200, 5: 50}


@pytest.mark.parametrize(
    ("current", "previous", "most", "kept"),
    [
        (1, 2, 2, {1, 2}),
        (0, 5, 2, {0, 5}),  # the previous one, however old it is
        (0, 5, 3, {0, 5, 1}),  # and then the youngest
        (0, 5, 4, {0, 1, 2, 5}),
        (0, 5, 100, {0, 1, 2, 5}),
        (0, None, 2, {0, 1}),  # of the predecessor's: the youngest of the others
        (0, 7, 2, {0, 1}),  # the previous one is gone
        (0, 0, 2, {0, 1}),
        (None, None, 2, {1, 2}),
    ],
)
def test_which_are_kept(
    current: int | None, previous: int | None, most: int, kept: set[int]
) -> None:
    assert choose(current, previous, AGES, most) == kept


def test_of_the_same_second_the_higher_number_is_younger() -> None:
    assert choose(0, None, {0: 1, 1: 1, 2: 1}, 2) == {0, 2}


def silent() -> PlainReport:
    """Says nothing that a test reads."""
    return PlainReport(Output())


def host_of(root: Path) -> Host:
    return Host(HostOptions(root=str(root), lock_timeout=0.1), {})


def deployments(root: Path) -> list[str]:
    return sorted(path.name for path in (root / CHECKOUTS).glob("[a-z]*.*"))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = make_root(tmp_path)
    for number, created in ((0, 1), (1, 2), (2, 3), (3, 4)):
        deploy(root, "etcd", number, record(created=created).to_json())
    deploy(root, "flannel", 0)
    return root


def test_names_are_found(root: Path) -> None:
    (root / CHECKOUTS / "gone.7").mkdir()
    (root / CHECKOUTS / "a.0.1").mkdir()
    (root / CHECKOUTS / "a.0").symlink_to("a.0.1")
    (root / CHECKOUTS / "-bad.1").mkdir()
    (root / CHECKOUTS / "file.3").touch()
    fd = os.open(root, os.O_RDONLY)
    assert list(map(str, deployed_names(fd, Paths()))) == ["a.0", "etcd", "flannel", "gone"]
    os.close(fd)


def test_what_is_too_much_goes(root: Path) -> None:
    with host_of(root) as host:
        assert list(collect_every(host, silent())) == ["etcd.0", "etcd.1"]
        assert list(collect_every(host, silent())) == []
    assert deployments(root) == ["etcd.2", "etcd.3", "flannel.0"]


def test_the_host_says_how_many(root: Path) -> None:
    (root / "etc/atomic.conf").write_text("deployments: 3\n")
    with host_of(root) as host:
        assert list(collect_every(host, silent())) == ["etcd.0"]


def test_what_no_container_has_goes_and_what_is_no_deployment_stays(root: Path) -> None:
    (root / CHECKOUTS / "flannel").unlink()
    (root / CHECKOUTS / "backup.1").mkdir()
    (root / CHECKOUTS / "backup.1/notes").touch()
    with host_of(root) as host:
        assert "flannel.0" in list(collect_every(host, silent()))
    assert deployments(root) == ["backup.1", "etcd.2", "etcd.3"]


def test_a_busy_container_is_passed_over(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fd = os.open(root / CHECKOUTS, os.O_RDONLY)
    with host_of(root) as host, key_locked(fd, ".lock", "etcd", timeout=1, what="etcd"):
        assert list(collect_every(host, silent())) == []
    os.close(fd)
    assert "etcd is in use by another process" in capsys.readouterr().err
    assert len(deployments(root)) == 5
