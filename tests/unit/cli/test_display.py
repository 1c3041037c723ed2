# SPDX-License-Identifier: LGPL-2.1-or-later
"""`--display` shows, and does nothing; the predecessor's did it all the same."""

from pathlib import Path

import pytest

from atomic_sys.__main__ import run
from atomic_sys.errors import ExitCode
from tests.support.layers import listing
from tests.unit.engine.hosts import deploy, make_root


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = make_root(tmp_path)
    deploy(root, "etcd")
    return root


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        (["stop", "--display", "etcd"], "systemctl stop etcd.service\n"),
        (["run", "--display", "etcd"], "systemctl start etcd.service\n"),
        (["run", "--display", "etcd", "id", "-u"], "run id -u in etcd\n"),
        (["run", "--display", "x:1", "id"], "run id in the image x:1, and remove it\n"),
        (["run", "--display", "x:1"], "run its command in the image x:1, and remove it\n"),
    ],
)
def test_it_is_shown(
    words: list[str], shown: str, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = listing(root)
    assert run(["--root", str(root), *words]) == ExitCode.DONE
    assert capsys.readouterr().out == shown
    assert listing(root) == before


def test_an_uninstallation_is_shown(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--root", str(root), "uninstall", "--display", "etcd"]) == ExitCode.DONE
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "stop etcd.service"
    assert lines[-1] == "remove /var/lib/containers/atomic/etcd"
    assert (root / "var/lib/containers/atomic/etcd").is_symlink()
    assert run(["--root", str(root), "stop", "--display", "nobody"]) == ExitCode.NOT_FOUND
