# SPDX-License-Identifier: LGPL-2.1-or-later
"""The parts of the image build that need neither root nor packages."""

import os
from pathlib import Path

import pytest

from atomic_sys.errors import UsageError
from images import build, payload, tree
from images.packages import Package
from images.recipes import BASE, ETCD, RECIPES


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("./bin/ip", "usr/bin/ip"),
        ("./lib/x86_64-linux-gnu/libc.so.6", "usr/lib/x86_64-linux-gnu/libc.so.6"),
        ("./lib", "usr/lib"),
        ("./usr/bin/ip", "usr/bin/ip"),
        ("./library/x", "library/x"),
        ("/etc/release", "etc/release"),
        ("../../etc/release", "etc/release"),
        ("./", "."),
    ],
)
def test_usr_is_merged(name: str, expected: str) -> None:
    assert tree.merged(name) == expected


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("usr/share/doc/etcd-server/copyright", True),
        ("usr/share/doc/libgcc-s1", True),
        ("usr/share/doc/etcd-server/changelog.Debian.gz", False),
        ("usr/share/doc/iproute2/examples/copyright", False),
        ("usr/share/man/man1/etcd.1.gz", False),
        ("usr/share/ca-certificates/mozilla/A.crt", True),
        ("usr/lib/systemd/system/etcd.service", False),
        ("usr/lib/python3.11/json/__init__.py", True),
        ("usr/lib/python3.11/test/support.py", False),
        ("var/run", False),
        ("var/lib/dpkg", True),
    ],
)
def test_what_an_image_keeps(name: str, *, kept: bool) -> None:
    assert tree.is_kept(name) is kept


def test_times_are_clamped(tmp_path: Path) -> None:
    (tmp_path / "directory").mkdir()
    for name, time in {"old": 100, "directory/new": 5000}.items():
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (time, time))
    (tmp_path / "link").symlink_to("directory")
    tree.normalise(tmp_path, 1000)
    times = {path.name: path.lstat().st_mtime for path in tmp_path.rglob("*")}
    assert times == {"old": 100, "directory": 1000, "new": 1000, "link": 1000}
    assert tmp_path.stat().st_mtime == 1000


def test_a_link_does_not_replace_a_file(tmp_path: Path) -> None:
    (tmp_path / "usr").mkdir()
    (tmp_path / "usr/ip").write_text("iproute2")
    tree.link(tmp_path, "usr/ip", "/usr/bin/busybox")
    tree.link(tmp_path, "usr/sh", "/usr/bin/busybox")
    tree.link(tmp_path, "usr/sh", "/usr/bin/dash")
    assert (tmp_path / "usr/ip").read_text() == "iproute2"
    assert (tmp_path / "usr/sh").readlink() == Path("/usr/bin/dash")


def test_source_date_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
    assert build.source_date_epoch() == build.DEFAULT_EPOCH
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "12")
    assert build.source_date_epoch() == 12
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "-1")
    with pytest.raises(UsageError):
        build.source_date_epoch()


def test_a_layer_is_cached_by_all_that_goes_into_it() -> None:
    packages = [Package(name="a", version="1", file="a_1_amd64.deb")]
    newer = [Package(name="a", version="2", file="a_2_amd64.deb")]
    keys = {
        build.stage_key(ETCD, packages, 1, None),
        build.stage_key(ETCD, newer, 1, None),
        build.stage_key(ETCD, packages, 2, None),
        build.stage_key(BASE, packages, 1, None),
    }
    assert len(keys) == 4
    assert build.stage_key(ETCD, list(packages), 1, None) in keys


def test_version_of_an_image() -> None:
    packages = [Package(name="etcd-server", version="3.4.23-4", file="x")]
    labels = payload.labels_of(RECIPES["etcd"], packages)
    assert labels["org.opencontainers.image.version"] == "3.4.23-4"
    assert labels["atomic.type"] == "system"


def test_shared_base() -> None:
    assert all(RECIPES[name].layers[0] is BASE for name in ("etcd", "flannel", "docker"))


def test_unknown_image(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such image: nginx"):
        build.build(["nginx"], tmp_path, cache=tmp_path)


@pytest.mark.parametrize(
    "words", [["--label", "a=b"], ["--variant", "v2", "--label", "a"], ["nginx"]]
)
def test_usage_errors(words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert build.main(["--output", os.fspath(tmp_path), *words]) == 2
    assert capsys.readouterr().err.startswith("images.build: ")
