# SPDX-License-Identifier: LGPL-2.1-or-later
"""What templates may know about the host, from facts that somebody else has looked up.

Sources: the predecessor's table of variables; capabilities(7) and linux/capability.h.
"""

from collections.abc import Mapping

from atomic_sys.frozen import frozen

CAPABILITIES = (
    "CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_DAC_READ_SEARCH", "CAP_FOWNER", "CAP_FSETID", "CAP_KILL",
    "CAP_SETGID", "CAP_SETUID", "CAP_SETPCAP", "CAP_LINUX_IMMUTABLE", "CAP_NET_BIND_SERVICE",
    "CAP_NET_BROADCAST", "CAP_NET_ADMIN", "CAP_NET_RAW", "CAP_IPC_LOCK", "CAP_IPC_OWNER",
    "CAP_SYS_MODULE", "CAP_SYS_RAWIO", "CAP_SYS_CHROOT", "CAP_SYS_PTRACE", "CAP_SYS_PACCT",
    "CAP_SYS_ADMIN", "CAP_SYS_BOOT", "CAP_SYS_NICE", "CAP_SYS_RESOURCE", "CAP_SYS_TIME",
    "CAP_SYS_TTY_CONFIG", "CAP_MKNOD", "CAP_LEASE", "CAP_AUDIT_WRITE", "CAP_AUDIT_CONTROL",
    "CAP_SETFCAP", "CAP_MAC_OVERRIDE", "CAP_MAC_ADMIN", "CAP_SYSLOG", "CAP_WAKE_ALARM",
    "CAP_BLOCK_SUSPEND", "CAP_AUDIT_READ", "CAP_PERFMON", "CAP_BPF", "CAP_CHECKPOINT_RESTORE",
)  # fmt: skip


@frozen
class HostFacts:
    """The installer's ids, what may be granted, and for a user their directories.

    `capabilities` is the bounding set of the host's first process, a bit for each capability: in a
    container or a virtual machine it may lack some that the kernel has, and a runtime that is told
    to grant one of those starts nothing.
    """

    uid: int = 0
    gid: int = 0
    capabilities: int = (1 << len(CAPABILITIES)) - 1
    home: str = "/root"
    user_runtime_directory: str | None = None  # $XDG_RUNTIME_DIR
    atomic: str = "/usr/bin/atomic"

    @property
    def is_user(self) -> bool:
        """Whether the container belongs to a user and not to the host."""
        return self.uid != 0

    def computed_values(
        self, name: str, runtime: str, user_values: Mapping[str, str]
    ) -> dict[str, str]:
        """The variables that a user may override, for a container of this name.

        The pid file goes into the RUN_DIRECTORY that the user chose.
        """
        run, state, conf = "/run", "/var/lib", "/etc"
        if self.is_user:
            run = self.user_runtime_directory or f"/run/user/{self.uid}"
            state, conf = f"{self.home}/.data", f"{self.home}/.config"
        return {
            "RUN_DIRECTORY": run,
            "STATE_DIRECTORY": state,
            "CONF_DIRECTORY": conf,
            "PIDFILE": f"{user_values.get('RUN_DIRECTORY', run)}/container-{name}.pid",
            "ALL_PROCESS_CAPABILITIES": all_capabilities(self.capabilities),
            "RUNTIME": runtime,
            "ATOMIC": self.atomic,
        }


def all_capabilities(bounding: int) -> str:
    """Every capability of the set, quoted, with commas: `[${ALL_PROCESS_CAPABILITIES}]`.

    One that is newer than our table is left out: a runtime would not know it either.
    """
    named = (name for bit, name in enumerate(CAPABILITIES) if bounding >> bit & 1)
    return ",\n".join(f'"{name}"' for name in named)
