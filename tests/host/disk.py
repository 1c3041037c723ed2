# SPDX-License-Identifier: LGPL-2.1-or-later
"""The disk of one test host: a copy of the base's ext4 image, loop-mounted, thrown away at the end.

Promised: what a host needs lies in one directory that its owner holds locked, so whatever a killed
run left behind is recognised by its free lock, and `sweep` takes it away: processes, mounts, loop
devices, files. `cut` is a power cut: what had not reached the disk is lost, as ext4 and its
journal define it (EXT4_IOC_SHUTDOWN of ext4(5), as file system test suites use it).
"""

import contextlib
import fcntl
import os
import shutil
import struct
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from tests.host.process import HostError, run

SHUTDOWN = 0x8004587D  # EXT4_IOC_SHUTDOWN, _IOR('X', 125, __u32)
NO_LOG_FLUSH = 2
ROOM = 3 << 30  # bytes that must be free in /dev/shm to put disks there
RELEASE_LIMIT = 20  # seconds


def scratch_directory() -> Path:
    """Where hosts live: $ATOMIC_SYS_SCRATCH, else memory when it has room, else $TMPDIR."""
    chosen = os.environ.get("ATOMIC_SYS_SCRATCH")
    if chosen:
        return Path(chosen)
    memory = Path("/dev/shm")
    roomy = memory.is_mount() and shutil.disk_usage(memory).free >= ROOM
    return (memory if roomy else Path(tempfile.gettempdir())) / "atomic-sys-hosts"


@dataclass(slots=True, kw_only=True)
class Disk:
    """A host's disk and its directory. `loop` is the device; the lock is held while this lives."""

    directory: Path
    loop: Path
    lock: TextIO

    @property
    def mountpoint(self) -> Path:
        """Where the host's root file system is mounted on this machine."""
        return self.directory / "root"

    @property
    def image(self) -> Path:
        """The file behind the loop device."""
        return self.directory / "disk.ext4"

    @classmethod
    def create(cls, base: Path, name: str) -> "Disk":
        """Copies `base` for a host called `name` and mounts it. All of it happens, or nothing."""
        directory, lock = claim(name)
        with contextlib.ExitStack() as undo:
            undo.callback(release_directory, directory)
            disk = cls(directory=directory, loop=Path(), lock=lock)
            run(["cp", "--sparse=auto", base, disk.image], timeout=300)
            disk.mountpoint.mkdir()
            found = run(["losetup", "--find", "--show", disk.image]).stdout
            disk.loop = Path(found.strip())
            disk.mount()
            undo.pop_all()
        return disk

    def mount(self) -> None:
        """Mounts the disk; after a power cut, this is where the journal is replayed."""
        run(["mount", "-t", "ext4", "-o", "noinit_itable", self.loop, self.mountpoint])

    def cut(self) -> None:
        """Stops the file system where it stands: nothing more reaches the disk. Then remount."""
        root = os.open(self.mountpoint, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.ioctl(root, SHUTDOWN, struct.pack("I", NO_LOG_FLUSH))
        finally:
            os.close(root)

    def remount(self) -> None:
        """Unmounts and mounts again, as a machine does between power off and power on."""
        unmount(self.mountpoint)
        self.wait_released()
        self.mount()

    def wait_released(self) -> None:
        """Waits until the kernel let go of the file system, which it does a moment after umount.

        Mounted before that, the device would come back with the file system that was shut down.
        """
        deadline = time.monotonic() + RELEASE_LIMIT
        while True:
            try:
                os.close(os.open(self.loop, os.O_RDONLY | os.O_EXCL))
            except OSError as error:
                if time.monotonic() > deadline:
                    raise HostError(f"{self.loop} stays in use: {error.strerror}") from error
                time.sleep(0.01)
            else:
                return

    def remove(self) -> None:
        """Unmounts and deletes everything; a second call does nothing."""
        if self.directory.exists():
            release_directory(self.directory)
        self.lock.close()


def claim(name: str) -> tuple[Path, TextIO]:
    """A new directory for host `name`, and its held lock."""
    with scratch_lock() as scratch:
        directory = scratch / name
        directory.mkdir()
        lock = (directory / "lock").open("w")
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return directory, lock


@contextlib.contextmanager
def scratch_lock() -> Iterator[Path]:
    """The scratch directory, with nobody else creating or sweeping in it."""
    scratch = scratch_directory()
    scratch.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (scratch / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield scratch


def sweep() -> tuple[str, ...]:
    """Takes away hosts whose owners are dead; returns their names.

    A host that was kept on purpose (file `kept`) stays as long as it runs.
    """
    swept = []
    with scratch_lock() as scratch:
        for directory in sorted(path for path in scratch.iterdir() if path.is_dir()):
            with (directory / "lock").open("a") as lock:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    continue
                if (directory / "kept").exists() and is_populated(directory.name):
                    continue
                release_directory(directory)
                swept.append(directory.name)
    return tuple(swept)


def release_directory(directory: Path) -> None:
    """Ends what still runs from `directory`, unmounts, frees the loop device, deletes."""
    for group in control_groups(directory.name):
        end_group(group)
    unmount(directory / "root")
    image = directory / "disk.ext4"
    if image.exists():
        attached = run(["losetup", "--noheadings", "--output", "NAME", "--associated", image])
        for device in attached.stdout.split():
            run(["losetup", "--detach", device])
    for group in control_groups(directory.name):
        remove_group(group)
    # systemd-nspawn wants to remove this itself, and refuses where /run is no tmpfs.
    with contextlib.suppress(OSError):
        Path("/run/systemd/nspawn/propagate", directory.name).rmdir()
    shutil.rmtree(directory)


def unmount(mountpoint: Path) -> None:
    """Unmounts, waiting for the last dying process to let go; not mounted is fine."""
    deadline = time.monotonic() + RELEASE_LIMIT
    while mountpoint.is_mount():
        done = run(["umount", mountpoint], check=False)
        if done.returncode != 0:
            if time.monotonic() > deadline:
                done.check()
            time.sleep(0.01)


def control_groups(name: str) -> tuple[Path, ...]:
    """The host's own group in each hierarchy that systemd-nspawn makes groups in.

    Without one of their own, two hosts would share the group `payload` of the hierarchy's root.
    """
    top = Path("/sys/fs/cgroup")
    hybrid = (top / "unified", top / "systemd")
    tops = (top,) if (top / "cgroup.procs").exists() else hybrid
    return tuple(path / f"atomic-sys-{name}" for path in tops if path.is_dir())


def is_populated(name: str) -> bool:
    """Whether any process of host `name` lives."""
    events = [group / "cgroup.events" for group in control_groups(name)]
    return any("populated 1" in path.read_text() for path in events if path.exists())


def end_group(group: Path) -> None:
    """Kills all processes in the group and below, as cgroup v2 offers; v1 has no such file."""
    kill = group / "cgroup.kill"
    if kill.exists():
        kill.write_text("1")


def remove_group(group: Path) -> None:
    """Removes a control group and those below it, the lowest first."""
    if not group.exists():
        return
    deadline = time.monotonic() + RELEASE_LIMIT
    for directory, _, _ in os.walk(group, topdown=False):
        while True:
            try:
                os.rmdir(directory)
            except OSError as error:  # busy while its last process is being reaped
                if time.monotonic() > deadline:
                    raise HostError(f"cannot remove {directory}: {error.strerror}") from error
                time.sleep(0.01)
            else:
                break
