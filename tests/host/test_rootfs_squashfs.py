# SPDX-License-Identifier: LGPL-2.1-or-later
"""Two hosts that run from one squashfs at the same time: nobody at all can write to that.

It is a block device that both have, as a disk of a storage network would be. The tests run in the
order of the file.
"""

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.host.host import Host
from tests.host.process import run
from tests.host.service import CHECKOUTS, atomic
from tests.host.sharing import (
    SHARED,
    assert_read_only,
    export,
    make_layouts,
    make_mount_points,
    version,
)

pytestmark = pytest.mark.usefixtures("base")
PACKED = "/srv/export.squashfs"
Hosts = tuple[Host, Host]


@contextlib.contextmanager
def device_of(image: Path) -> Iterator[int]:
    """The number of a read-only block device that is the image."""
    loop = run(["losetup", "--read-only", "--find", "--show", image]).stdout.strip()
    try:
        yield os.stat(loop).st_rdev
    finally:
        run(["losetup", "--detach", loop])


def pack(host: Host, to: Path) -> Path:
    """What the host exports, packed into a squashfs of this machine."""
    host.run(["mksquashfs", "/export", PACKED, "-noappend", "-quiet", "-no-progress"])
    image = to / "export.squashfs"
    image.write_bytes(host.path(PACKED).read_bytes())
    return image


def mount(host: Host, device: int) -> None:
    """The device, at the place of what the host has there now."""
    host.run(["sh", "-c", f"! mountpoint -q {SHARED} || umount {SHARED}; rm -f /dev/shared"])
    os.mknod(host.path("/dev/shared"), 0o60600, device)
    host.run(["mount", "-t", "squashfs", "-o", "ro", "/dev/shared", SHARED])


@pytest.fixture(scope="module")
def hosts(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hosts]:
    """Both have it mounted; the first one has made it."""
    layouts, packed = tmp_path_factory.mktemp("layouts"), tmp_path_factory.mktemp("packed")
    make_layouts(layouts)
    with Host("first", base=base) as first, Host("second", base=base) as second:
        for host in (first, second):
            host.boot()
            export(host, layouts)
        first.run(["mount", "--bind", "-o", "ro", "/export", SHARED])
        make_mount_points(first)
        second.run(["rm", "-r", "/export"])
        with device_of(pack(first, packed)) as device:
            for host in (first, second):
                mount(host, device)
            try:
                yield first, second
            finally:
                first.destroy()  # the device is theirs as long as they have it mounted
                second.destroy()


def test_both_run_from_it(hosts: Hosts) -> None:
    for host in hosts:
        atomic(host, "install", "--system", "--now", "-n", "one", f"--rootfs={SHARED}/1",
               "oci:/srv/images/1")  # fmt: skip
    for host in hosts:
        assert host.run(["stat", "-f", "-c", "%T", f"{CHECKOUTS}/one/rootfs/"]).stdout == (
            "squashfs\n"
        )
        assert version(host, "one") == "1"
        assert_read_only(host, "one")
        assert atomic(host, "containers", "verify", "one").stdout == "one: as it was installed\n"
        atomic(host, "fsck")
        # It requires a mount that a unit file or fstab(5) has; this one was made by hand.
        after = host.systemctl_show("one.service", "After")["After"]
        assert "srv-shared.mount" in after.split()


def test_one_is_updated_and_the_other_stays(hosts: Hosts) -> None:
    first, second = hosts
    atomic(first, "containers", "update", "one", "--settle=1", "--rebase=oci:/srv/images/2",
           f"--rootfs={SHARED}/2")  # fmt: skip
    assert (version(first, "one"), version(second, "one")) == ("2", "1")
    atomic(first, "containers", "rollback", "one", "--settle=1")
    assert (version(first, "one"), version(second, "one")) == ("1", "1")


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (lambda path: path.write_text("0"), "changed"),
        (lambda path: path.chmod(0o4755), "changed"),
        (Path.unlink, "missing"),
    ],
)
def test_another_squashfs_is_found_out(
    change: Callable[[Path], object], what: str, hosts: Hosts, tmp_path: Path
) -> None:
    first, second = hosts
    path = first.path("/export/1/version")
    change(path)
    try:
        with device_of(pack(first, tmp_path)) as device:
            atomic(second, "stop", "one")
            mount(second, device)
            damaged = atomic(second, "containers", "verify", "one", code=5)
            refused = atomic(second, "install", "-n", "new", f"--rootfs={SHARED}/1",
                             "oci:/srv/images/1", code=5)  # fmt: skip
            second.run(["umount", SHARED])
    finally:
        path.write_text("1")
        path.chmod(0o644)
    assert damaged.stdout == f"one: {what}: {SHARED}/1/version\n"
    assert f": {what} /version\n" in refused.stderr
    assert version(first, "one") == "1"


def test_both_go_and_nothing_is_left(hosts: Hosts) -> None:
    for host in hosts:
        atomic(host, "uninstall", "one")
        assert host.run(["ls", CHECKOUTS]).stdout == ""
