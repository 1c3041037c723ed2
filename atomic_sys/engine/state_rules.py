# SPDX-License-Identifier: LGPL-2.1-or-later
"""Which of the paths that an image declares as its state may be removed with its container. Pure.

A declaration is hostile text. It counts below the directories where services keep their data, and
only where config.json mounts it into the container; what the system or another container keeps
there stays. Sources: the contract, sections 1 and 4 (`--purge`, `state`); hier(7).
"""

import posixpath

from atomic_sys.engine.declared import RemoveState
from atomic_sys.frozen import frozen

BASES = ("/var/lib", "/var/cache", "/var/log", "/var/spool", "/srv")
# What is never anybody's state, also where a user has set STATE_DIRECTORY to a directory above.
_SYSTEM = frozenset((
    "bin", "boot", "dev", "etc", "home", "lib", "lib32", "lib64", "libx32", "ostree", "proc",
    "root", "run", "sbin", "sys", "sysroot", "usr",
))  # fmt: skip
# Names directly below a base that the base system and its package managers have.
_RESERVED = frozenset((
    "NetworkManager", "PackageKit", "alternatives", "apt", "cloud", "containers", "cron", "dbus",
    "debconf", "dnf", "dpkg", "flatpak", "initramfs-tools", "journal", "locales", "machines",
    "mail", "man", "misc", "os-prober", "pam", "polkit-1", "portables", "private", "rpm",
    "rpm-state", "selinux", "snapd", "sudo", "systemd", "ucf", "yum",
))  # fmt: skip


@frozen
class StatePath:
    """A path that the image declares, below `base`; `kept` is why it stays, None when it goes."""

    path: str
    base: str = ""
    kept: str | None = None

    def removal(self) -> RemoveState:
        """The operation that removes it."""
        return RemoveState(base=self.base, path=self.path[len(self.base) + 1 :])


@frozen
class Owned:
    """The state and the mounts of another container."""

    owner: str
    state: tuple[str, ...] = ()
    mounted: tuple[str, ...] = ()


@frozen
class Facts:
    """What a declaration is judged by.

    `chosen` is the STATE_DIRECTORY that the user has set, `ours` are the directories that we keep
    images and containers in, and `mounted` is what config.json mounts into the container.
    """

    chosen: str | None = None
    ours: tuple[str, ...] = ()
    mounted: tuple[str, ...] = ()
    others: tuple[Owned, ...] = ()

    @property
    def bases(self) -> tuple[str, ...]:
        """Below what state may be."""
        own = (self.chosen,) if self.chosen is not None and _is_plain(self.chosen) else ()
        return (*own, *BASES)


def judge(path: str, facts: Facts) -> StatePath:
    """Whether a declared path may go, as far as its name tells."""
    if not _is_plain(path):
        return StatePath(path=path, kept="it is not an absolute path in its normal form")
    base = next((one for one in facts.bases if _is_below(path, one)), None)
    if base is None:
        return StatePath(path=path, kept=f"it is not below {', '.join(facts.bases)}")
    return StatePath(path=path, base=base, kept=_why_kept(path, facts))


def _why_kept(path: str, facts: Facts) -> str | None:
    if _is_of_the_system(path):
        return "it belongs to the system"
    if any(_overlap(path, own) for own in facts.ours):
        return "images and containers are kept there"
    if not any(_overlap(path, source) for source in facts.mounted):
        return "the container does not mount it"
    for other in facts.others:
        if any(_overlap(path, state) for state in other.state):
            return f"it is the state of {other.owner} too"
        if any(source == path or _is_below(source, path) for source in other.mounted):
            return f"{other.owner} mounts it too"
    return None


def _is_of_the_system(path: str) -> bool:
    if path.split("/")[1] in _SYSTEM or any(path == b or _is_below(b, path) for b in BASES):
        return True
    below = (path[len(base) + 1 :] for base in BASES if _is_below(path, base))
    return any(name.partition("/")[0] in _RESERVED for name in below)


def _is_plain(path: str) -> bool:
    normal = path.startswith("/") and not path.startswith("//") and path != "/"
    return normal and path == posixpath.normpath(path) and path.isprintable()


def _is_below(path: str, above: str) -> bool:
    return path.startswith(f"{above.rstrip('/')}/")


def _overlap(one: str, other: str) -> bool:
    return one == other or _is_below(one, other) or _is_below(other, one)
