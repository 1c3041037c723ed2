# SPDX-License-Identifier: LGPL-2.1-or-later
"""A test host: a Debian whose PID 1 is a real systemd, booted in a fraction of a second.

Promised: `boot` returns when systemd says `running`; a `reboot` keeps the disk; `kill` is a power
cut; `destroy` leaves no process, mount, loop device, control group or file on this machine, also
after Ctrl-C, and the next run removes what a killed one left. Hosts do not know of each other.
Every wait has a limit; when one passes, the error has the end of the host's console.

The network is private and has only a loopback interface: dockerd writes firewall rules.
A host dies with the thread that booted it, unless it is made to be kept.
"""

import itertools
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from tests.host.base import base_image
from tests.host.disk import Disk, sweep
from tests.host.nspawn import BOOT_LIMIT, Lifetime, Nspawn, console, said
from tests.host.process import Completed, HostError, run

POWEROFF_LIMIT = 150  # seconds; systemd gives a unit 90 to stop
numbers = itertools.count(1)


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitTimes:
    """When a unit last began to start and was up: microseconds of CLOCK_MONOTONIC, 0 for never."""

    inactive_exit: int
    active_enter: int


class Host:
    """One host. Use it as a context manager: made when constructed, not booted; destroyed at exit.

    Raises HostError when the base cannot be built or the disk cannot be made.
    """

    def __init__(
        self, name: str = "host", *, base: Path | None = None, lifetime: Lifetime = Lifetime.OWNED
    ) -> None:
        self.name = f"{name[:40]}-{os.getpid()}-{next(numbers)}"
        self._lifetime = lifetime
        self._machine: Nspawn | None = None
        sweep()
        self._disk = Disk.create(base or base_image(), self.name)
        if lifetime is Lifetime.KEPT:
            (self.directory / "kept").touch()

    def __enter__(self) -> "Host":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._lifetime is Lifetime.OWNED:
            self.destroy()

    @property
    def machine(self) -> Nspawn:
        """The running machine; raises HostError while the host is off."""
        if self._machine is None:
            raise HostError(f"{self.name} is not running")
        return self._machine

    @property
    def is_on(self) -> bool:
        """Whether the host has been booted and not been powered off since."""
        return self._machine is not None

    @property
    def directory(self) -> Path:
        """The host's directory on this machine, outside the host's own file system."""
        return self._disk.directory

    def boot(self) -> None:
        """Boots and waits for `running`; raises HostError with the console's end if it fails."""
        if self.is_on:
            raise HostError(f"{self.name} is running already")
        self._machine = Nspawn.start(self.directory, self._lifetime)
        try:
            self.wait_running()
        except BaseException:
            self._stop()
            raise

    def wait_running(self, *, timeout: float = BOOT_LIMIT) -> None:
        """Waits until the boot is over; raises HostError unless systemd calls it `running`."""
        waiting = ["systemctl", "is-system-running", "--wait"]
        state = self.run(waiting, check=False, timeout=timeout).stdout.strip()
        if state != "running":
            failed = self.run(["systemctl", "--failed", "--plain", "--no-legend"], check=False)
            raise HostError(
                f"{self.name} is {state!r}; failed units: {failed.stdout}{said(self.directory)}"
            )

    def enter(self) -> list[str]:
        """The words to put before a command so that it runs in the host."""
        return ["nsenter", f"--target={self.machine.leader}", "-m", "-u", "-i", "-n", "-p", "-C",
                "--"]  # fmt: skip

    def run(
        self,
        argv: Sequence[str],
        *,
        check: bool = True,
        input: str | None = None,  # noqa: A002 - the name that subprocess.run has made known
        timeout: float = 60,
    ) -> Completed:
        """Runs a command as root in the host; raises HostError when it fails or is too slow."""
        return run([*self.enter(), *argv], check=check, input=input, timeout=timeout)

    def run_in_network(
        self, argv: Sequence[str | os.PathLike[str]], *, check: bool = True, timeout: float = 60
    ) -> Completed:
        """Runs a command of this machine, on this machine's files, in the host's network."""
        inside = ["nsenter", f"--target={self.machine.leader}", "-n", "--"]
        return run([*inside, *argv], check=check, timeout=timeout)

    def reboot(self) -> None:
        """Powers off in good order and boots the same disk."""
        self.poweroff()
        self.boot()

    def poweroff(self) -> None:
        """Shuts down in good order and waits for the end; raises HostError after the limit."""
        # The connection may break while PID 1 goes down: what counts is that the machine ends.
        self.run(["systemctl", "poweroff"], check=False)
        if not self.machine.wait_off(POWEROFF_LIMIT):
            where = said(self.directory)
            raise HostError(f"{self.name} does not power off in {POWEROFF_LIMIT} s{where}")
        self._stop()

    def kill(self) -> None:
        """Cuts the power: no process gets another turn, and unsynced writes are lost."""
        _ = self.machine  # a host that is off has no power to cut
        self._disk.cut()
        self._stop()
        self._disk.remount()

    def destroy(self) -> None:
        """Ends and removes everything that this host is; a second call does nothing."""
        self._stop()
        self._disk.remove()

    def path(self, inside: str) -> Path:
        """Where the host's file `inside` is for this machine: as the host itself sees it while it
        runs (with its /run and other mounts), on its disk while it is off.

        Absolute symbolic links on the way would lead into this machine; name their targets.
        """
        machine = self._machine
        root = Path(f"/proc/{machine.leader}/root") if machine else self._disk.mountpoint
        return root / inside.lstrip("/")

    def copy_in(self, source: Path, inside: str) -> None:
        """Copies a file, or a tree with its links, to exactly `inside`; parents are made."""
        target = self.path(inside)
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, symlinks=True, dirs_exist_ok=True)
        else:
            shutil.copy2(source, target)

    def write(self, inside: str, text: str) -> None:
        """Writes a file of the host; parents are made."""
        target = self.path(inside)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)

    def systemctl_show(self, unit: str, *properties: str) -> dict[str, str]:
        """Properties of a unit (all of them when none is named), as systemctl(1) prints them."""
        wanted = [f"--property={name}" for name in properties]
        shown = self.run(["systemctl", "show", *wanted, "--", unit]).stdout
        return dict(line.split("=", 1) for line in shown.splitlines() if "=" in line)

    def monotonic(self, unit: str) -> UnitTimes:
        """When the unit last began to start, and when it was up."""
        names = ("InactiveExitTimestampMonotonic", "ActiveEnterTimestampMonotonic")
        shown = self.systemctl_show(unit, *names)
        return UnitTimes(inactive_exit=int(shown[names[0]]), active_enter=int(shown[names[1]]))

    def journal(self, unit: str) -> str:
        """What the unit logged since this boot, oldest first."""
        return self.run([
            "journalctl",
            "--boot",
            f"--unit={unit}",
            "--no-pager",
            "--output=short-monotonic",
        ]).stdout

    def console(self) -> str:
        """What the host said on its console, all boots."""
        return console(self.directory)

    def _stop(self) -> None:
        if self._machine is not None:
            self._machine.stop()
            self._machine = None
