# SPDX-License-Identifier: LGPL-2.1-or-later
"""Boots a directory as a machine with systemd-nspawn(1), and ends it again.

Promised: `start` returns when the machine's own systemd has reported READY=1, and knows its PID 1;
`stop` returns when PID 1, and with it every process of the machine, is gone. An owned machine
dies with the thread that started it. Waits are on sd_notify messages and pidfds, with limits.
"""

import contextlib
import enum
import os
import select
import signal
import socket
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from tests.host.disk import control_groups, end_group
from tests.host.process import HostError, tail

BOOT_LIMIT = 60  # seconds
STOP_LIMIT = 30  # seconds, after SIGKILL
ENVIRONMENT = {
    "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1",  # else runc finds its control groups read-only
    "SYSTEMD_NSPAWN_API_VFS_WRITABLE": "1",  # dockerd and flannel write below /proc/sys
    "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
}
# Lets go of the disks of all hosts but the one in the first directory, joins the control groups
# named before "--", then becomes the command after it. Without a mount namespace of its own, what
# a machine was started from would hold the disks of the others, whose power then cannot be cut.
APART = """
for root in "${1%/*}"/*/root; do test "$root" = "$1/root" || umount "$root" 2>/dev/null; done
shift
while [ "$1" != -- ]; do echo $$ >"$1/cgroup.procs" || exit; shift; done
shift
exec "$@"
"""


class Lifetime(enum.Enum):
    """How long a machine lives: with its creator, or until it is powered off."""

    OWNED = "owned"
    KEPT = "kept"


@dataclass(frozen=True, slots=True, kw_only=True)
class Nspawn:
    """A running machine: its supervisor, and `leader`, the pid of its PID 1 on this machine."""

    supervisor: "subprocess.Popen[bytes]"
    leader: int

    @classmethod
    def start(cls, directory: Path, lifetime: Lifetime) -> "Nspawn":
        """Boots `directory`/root as a machine with the directory's name.

        Raises HostError, with the end of the console, when it ends or is not up in BOOT_LIMIT s.
        """
        groups = control_groups(directory.name)
        for group in groups:
            group.mkdir(exist_ok=True)
        address = directory / "notify"
        address.unlink(missing_ok=True)
        with (
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify,
            (directory / "console").open("ab") as console,
        ):
            notify.bind(os.fspath(address))
            supervisor = subprocess.Popen(
                [
                    "unshare",
                    "--mount",
                    "--propagation=private",
                    "sh",
                    "-c",
                    APART,
                    "-",
                    directory,
                    *groups,
                    "--",
                    *command(directory, lifetime),
                ],
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=console,
                env=ENVIRONMENT | {"NOTIFY_SOCKET": os.fspath(address)},
                start_new_session=True,  # Ctrl-C is for this process, which then cleans up
            )
            try:
                leader = wait_ready(notify, supervisor, directory)
            except BaseException:
                for group in groups:
                    end_group(group)
                supervisor.kill()  # it may not have joined a group yet
                supervisor.wait(STOP_LIMIT)
                raise
        return cls(supervisor=supervisor, leader=leader)

    def wait_off(self, limit: float) -> bool:
        """Waits for the machine to power itself off; False when `limit` seconds were too few."""
        try:
            self.supervisor.wait(limit)
        except subprocess.TimeoutExpired:
            return False
        return True

    def stop(self) -> None:
        """Ends all of the machine's processes at once and waits until they are gone."""
        try:
            leader = os.pidfd_open(self.leader)
        except ProcessLookupError:
            leader = None
        # The leader, being PID 1 of its name space, takes every other process with it.
        if leader is not None:
            try:
                with contextlib.suppress(ProcessLookupError):
                    signal.pidfd_send_signal(leader, signal.SIGKILL)
                ready, _, _ = select.select([leader], [], [], STOP_LIMIT)
            finally:
                os.close(leader)
            if not ready:
                raise HostError(f"PID 1 of the machine, {self.leader}, survives SIGKILL")
        # Left alone, the supervisor tidies up after the machine; it must not hang for it.
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.supervisor.wait(STOP_LIMIT / 3)
        self.supervisor.kill()
        self.supervisor.wait(STOP_LIMIT)


def command(directory: Path, lifetime: Lifetime) -> list[str]:
    """The command that runs the machine; see DESIGN for why each option is needed."""
    nspawn = [
        "systemd-nspawn", "--quiet", f"--directory={directory / 'root'}", "--boot",
        f"--machine={directory.name}", "--register=no", "--keep-unit", "--private-network",
        "--capability=all", "--system-call-filter=add_key keyctl bpf",
        "--resolv-conf=off", "--timezone=off", "--notify-ready=yes", "--console=pipe",
    ]  # fmt: skip
    match lifetime:
        case Lifetime.OWNED:
            # At SIGTERM it shuts the machine down; at SIGKILL it would leave it running alone.
            return ["setpriv", "--pdeathsig=TERM", *nspawn]
        case Lifetime.KEPT:
            return nspawn


def wait_ready(
    notify: socket.socket, supervisor: "subprocess.Popen[bytes]", directory: Path
) -> int:
    """Reads sd_notify(3) messages until READY=1; returns the leader that nspawn announced."""
    leader = 0
    deadline = time.monotonic() + BOOT_LIMIT
    ended = os.pidfd_open(supervisor.pid)
    try:
        while True:
            left = max(0.0, deadline - time.monotonic())
            ready, _, _ = select.select([notify.fileno(), ended], [], [], left)
            if not ready:
                raise HostError(f"{directory.name} is not up in {BOOT_LIMIT} s{said(directory)}")
            if notify.fileno() not in ready:
                raise HostError(f"{directory.name} ended while booting{said(directory)}")
            words = notify.recv(65536).decode(errors="replace").splitlines()
            for word in words:
                if word.startswith("X_NSPAWN_LEADER_PID="):
                    leader = int(word.partition("=")[2])
            if "READY=1" in words and leader:
                return leader
    finally:
        os.close(ended)


def said(directory: Path) -> str:
    """The end of the machine's console, as the second half of an error message."""
    return f"; its console:\n{tail(console(directory))}"


def console(directory: Path) -> str:
    """What the machine said on its console, all boots."""
    path = directory / "console"
    return path.read_text(errors="backslashreplace") if path.exists() else ""
