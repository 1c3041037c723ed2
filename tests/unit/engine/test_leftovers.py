# SPDX-License-Identifier: LGPL-2.1-or-later
"""What commands that died have left beside the deployments goes, and nothing else does."""

import os
from pathlib import Path

import pytest

from atomic_sys.engine import leftovers
from atomic_sys.fs.atomic import temporary_name
from atomic_sys.fs.lock import key_locked
from atomic_sys.host import Host, HostOptions
from atomic_sys.verbs.leftovers import remove_leftovers
from tests.unit.engine.hosts import deploy, make_root

CHECKOUTS = "var/lib/containers/atomic"


@pytest.fixture
def checkouts(tmp_path: Path) -> Path:
    """Two containers; flannel.0 is a deployment of a name that nothing is installed under."""
    root = make_root(tmp_path)
    deploy(root, "etcd")
    deploy(root, "flannel")
    (root / CHECKOUTS / "flannel").unlink()
    (root / CHECKOUTS / ".state").mkdir()
    return root / CHECKOUTS


def cleaned(checkouts: Path) -> set[str]:
    """What is removed, below the directory of the deployments."""
    root = checkouts.parents[3]
    with Host(HostOptions(root=str(root), lock_timeout=0.1), {}) as host:
        return {path.removeprefix(f"/{CHECKOUTS}/") for path in remove_leftovers(host)}


def test_it_goes(checkouts: Path) -> None:
    names = {
        temporary_name("etcd"),
        f"etcd.0/{temporary_name('info')}",
        f"flannel.0/{temporary_name('etcd.service')}",
        f".state/{temporary_name('etcd.json')}",
        f".state/{temporary_name('gone.json')}",
    }
    for name in names:
        (checkouts / name).symlink_to("nowhere")
    tree = f"etcd.0/{temporary_name('rootfs')}"
    (checkouts / tree / "deep").mkdir(parents=True)
    (checkouts / tree / "deep/file").touch()
    assert cleaned(checkouts) == {*names, tree}
    assert cleaned(checkouts) == set()
    assert not any(path.name.endswith(".tmp") for path in checkouts.rglob("*"))


@pytest.mark.parametrize(
    "name",
    [".etcd.tmp", "etcd.0/.info.0123456789a.tmp", "etcd.0/info.0123456789ab.tmp", "x.tmp",
     "etcd.0/rootfs/.x.0123456789ab.tmp", ".-bad.0123456789ab.tmp", ".journal/.x.0123456789ab.tmp"],
)  # fmt: skip
def test_what_is_not_ours_stays(checkouts: Path, name: str) -> None:
    (checkouts / name).parent.mkdir(exist_ok=True)
    (checkouts / name).touch()
    assert cleaned(checkouts) == set()
    assert (checkouts / name).exists()


def test_who_is_at_work_is_left_alone(checkouts: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name = f"etcd.0/{temporary_name('info')}"
    (checkouts / name).touch()
    fd = os.open(checkouts, os.O_RDONLY)
    with key_locked(fd, ".lock", "etcd", timeout=1, what="etcd"):
        assert cleaned(checkouts) == set()
    os.close(fd)
    assert "etcd is in use by another process" in capsys.readouterr().err
    assert cleaned(checkouts) == {name}


def test_a_test_of_links_goes_when_it_is_old(
    checkouts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = ".link-test.0123456789ab.tmp"
    (checkouts / name).touch()
    assert cleaned(checkouts) == set()
    monkeypatch.setattr(leftovers, "_OLD", -1.0)
    assert cleaned(checkouts) == {name}
