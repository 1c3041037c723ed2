# SPDX-License-Identifier: LGPL-2.1-or-later
"""The kernel keeps a protected root file system from whoever writes to it by mistake."""

import errno
import json
import os
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from atomic_sys.engine import protection

pytestmark = pytest.mark.conformance
MOUNTS = [
    {"destination": "/dev", "type": "tmpfs"},
    {"destination": "/data", "type": "bind", "source": "/proc"},
]
CONFIG: dict[str, object] = {
    "root": {"path": "rootfs", "readonly": True},
    "mounts": MOUNTS,
    "process": {"cwd": "/work"},
}


@pytest.fixture
def deployment() -> Iterator[Path]:
    """A deployment whose file /etc/passwd is a hard link to an object."""
    with tempfile.TemporaryDirectory(dir="/dev/shm", prefix="protect-test.") as top:
        path = Path(top, "etcd.0")
        (path / "rootfs/etc").mkdir(parents=True)
        Path(top, "object").write_text("root\n")
        os.link(Path(top, "object"), path / "rootfs/etc/passwd")
        (path / "config.json").write_text(json.dumps(CONFIG))
        yield path
        protection.release(str(path))


def refused(path: Path) -> bool:
    """Whether a shell cannot append to the file, the kernel's word for it being "read-only"."""
    done = subprocess.run(
        ["sh", "-c", 'echo x >> "$1"', "sh", path], capture_output=True, text=True, check=False
    )
    return done.returncode != 0 and "Read-only file system" in done.stderr


def test_a_write_fails_and_links_still_work(deployment: Path) -> None:
    assert protection.protect(str(deployment)) is None
    passwd, rootfs = deployment / "rootfs/etc/passwd", deployment / "rootfs"
    assert refused(passwd)
    deeds: list[Callable[[], None]]
    deeds = [passwd.unlink, (rootfs / "new").mkdir, lambda: passwd.chmod(0o777)]
    for deed in deeds:
        with pytest.raises(OSError, match="Read-only") as caught:
            deed()
        assert caught.value.errno == errno.EROFS
    os.link(deployment.parent / "object", deployment.parent / "again")
    assert (rootfs / "data").is_dir()
    assert (rootfs / "work").is_dir()
    (deployment / "info").write_text("what is beside it can be written")


def test_it_can_be_repeated_and_taken_away(deployment: Path) -> None:
    for _ in range(2):
        assert protection.protect(str(deployment)) is None
    shown = Path("/proc/self/mountinfo").read_text().count(f"{deployment}/rootfs")
    assert shown == 1
    assert Path("/proc/self/mountinfo").read_text().count(f" {deployment}") == 2
    inside = os.open(deployment / "rootfs", os.O_RDONLY)  # somebody stands in it
    with protection.released(str(deployment)):
        (deployment / "rootfs/etc/passwd").write_text("repaired\n")
    assert protection.is_protected(str(deployment))
    protection.release(str(deployment))
    os.close(inside)
    assert not protection.is_protected(str(deployment))
    with protection.released(str(deployment)):
        pass
    assert not protection.is_protected(str(deployment))


def test_another_mount_there_is_left_alone(deployment: Path) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "none", deployment / "rootfs"], check=True)
    try:
        protection.release(str(deployment))
        assert os.path.ismount(deployment / "rootfs")
    finally:
        subprocess.run(["umount", deployment / "rootfs"], check=True)


def test_what_cannot_be_protected_says_why(deployment: Path) -> None:
    changed = CONFIG | {"hooks": {"prestart": [{"path": "/bin/true"}]}}
    (deployment / "config.json").write_text(json.dumps(changed))
    assert protection.protect(str(deployment)) == "it has hooks of the runtime"
    (deployment / "config.json").unlink()
    assert protection.protect(str(deployment)) == "its config.json cannot be read"
    (deployment / "rootfs/etc/passwd").write_text("free\n")
    (deployment.parent / "remote.0").mkdir()
    assert protection.protect(f"{deployment.parent}/remote.0") == "it has no root file system"
    (deployment.parent / "remote.0/rootfs").symlink_to(deployment / "rootfs")
    assert (
        protection.protect(f"{deployment.parent}/remote.0") == "its root file system is elsewhere"
    )
    source = {"destination": "/s", "type": "bind", "source": "/not/there"}
    changed = CONFIG | {"mounts": [*MOUNTS, source]}
    (deployment / "config.json").write_text(json.dumps(changed))
    assert protection.protect(str(deployment)) == "its runtime has yet to make /s"
