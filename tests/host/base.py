# SPDX-License-Identifier: LGPL-2.1-or-later
"""The base of all test hosts: a minimal Debian with systemd, as an ext4 image, built once.

Promised: the image depends only on the suite, the package list and RECIPE; it is complete or not
there (built beside, then renamed); two runs that want it at once build it once. It is golden in
the sense of machine-id(5): the machine id is empty, so that each host gets its own, and nothing of
the building machine (resolver, host name, package lists) is in it.

The image's file system is as plain as a server's: hard links, overlayfs on top and a journal all
behave as they would there, which an overlay mount as root would not promise.
"""

import fcntl
import functools
import hashlib
import json
import os
import platform
import shutil
import sys
import tempfile
from pathlib import Path

from tests.host.process import HostError, run

RECIPE = 4  # raise it when anything below changes what ends up in the image
SIZE = "8G"  # of the sparse image; only what is written takes memory
# python3-cffi-backend is named because debootstrap does not resolve virtual packages.
PACKAGES = (
    # the machine
    "systemd", "systemd-sysv", "dbus", "libpam-systemd", "dbus-user-session", "iproute2",
    "ca-certificates",
    # what atomic-sys runs on
    "python3", "python3-gi", "python3-pydbus", "python3-requests", "python3-yaml",
    "python3-jinja2", "python3-gnupg", "python3-zstandard", "python3-rich",
    "python3-cryptography", "python3-cffi-backend", "gnupg", "runc", "crun",
    # judges and partners of the tests
    "ostree", "docker-registry", "squashfs-tools",
)  # fmt: skip
LEFT_OUT = ("usr/share/man", "usr/share/locale", "usr/share/info", "var/cache/apt",
            "var/lib/apt/lists", "var/cache/debconf", "var/log/apt")  # fmt: skip
# Nothing that a test did not ask for may run: timers and loggers of the distribution add noise to
# snapshots and seconds to the boot. Consoles have no terminal here.
OFF = ("docker-registry.service", "apt-daily.timer", "apt-daily-upgrade.timer",
       "dpkg-db-backup.timer", "e2scrub_all.timer", "e2scrub_reap.service", "fstrim.timer",
       "systemd-pstore.service", "getty@tty1.service")  # fmt: skip
MASKED = ("console-getty.service", "systemd-tmpfiles-clean.timer")


def base_image(cache: Path | None = None) -> Path:
    """The base's image in the cache directory, built when it is not there yet (about a minute).

    Raises HostError when this is no Debian, or when debootstrap fails.
    """
    cache = cache or cache_directory()
    image = cache / f"base-{base_key(suite())}.ext4"
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "base.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # a second run waits here for the first one's image
        if not image.exists():
            build(image)
    return image


def cache_directory() -> Path:
    """Where built bases stay: $ATOMIC_SYS_CACHE, else ~/.cache/atomic-sys."""
    chosen = os.environ.get("ATOMIC_SYS_CACHE")
    return Path(chosen) if chosen else Path.home() / ".cache" / "atomic-sys"


def base_key(suite_name: str) -> str:
    """The name of one content of the base: it changes with everything that decides the content."""
    decides = json.dumps([RECIPE, suite_name, SIZE, PACKAGES, LEFT_OUT, OFF, MASKED])
    return hashlib.sha256(decides.encode()).hexdigest()[:16]


@functools.cache
def suite() -> str:
    """The code name of the Debian release that this machine runs, as os-release(5) has it."""
    release = platform.freedesktop_os_release()
    if release.get("ID") != "debian" or "VERSION_CODENAME" not in release:
        raise HostError(f"the test host needs Debian, this is {release.get('PRETTY_NAME')}")
    return release["VERSION_CODENAME"]


def mirror(suite_name: str) -> str:
    """The archive that this machine's own apt uses for `suite_name`'s main component."""
    wanted = "$(CODENAME)\t$(RELEASE)\t$(COMPONENT)\t$(SITE)"
    said = run(["apt-get", "indextargets", "--format", wanted, "Created-By: Packages"]).stdout
    for line in said.splitlines():
        code_name, release, component, site = line.split("\t")
        if suite_name in (code_name, release) and component == "main":
            return site
    raise HostError(f"apt knows no archive with {suite_name} main")


def build(image: Path) -> None:
    """Makes the base and names it `image` when it is whole."""
    suite_name = suite()
    print(f"test host: building the {suite_name} base, once, about a minute", file=sys.stderr)
    partial = image.with_suffix(".partial")
    with tempfile.TemporaryDirectory(prefix="atomic-sys-base-") as scratch:
        tree = Path(scratch) / "tree"
        run(
            ["debootstrap", "--variant=minbase", f"--include={','.join(PACKAGES)}",
             suite_name, tree, mirror(suite_name)],
            timeout=1200,
        )  # fmt: skip
        make_golden(tree)
        partial.unlink(missing_ok=True)
        # Lazy initialisation would have the kernel fill the sparse image with zeros later on.
        run(
            ["mke2fs", "-q", "-t", "ext4", "-m", "0", "-d", tree,
             "-E", "lazy_itable_init=0,lazy_journal_init=0,root_owner=0:0", partial, SIZE],
            timeout=300,
        )  # fmt: skip
    partial.rename(image)


def make_golden(tree: Path) -> None:
    """Takes out of a fresh installation what must not be in every host that is made from it."""
    for name in LEFT_OUT:
        shutil.rmtree(tree / name, ignore_errors=True)
        (tree / name).mkdir(parents=True)
    for name in (
        "etc/resolv.conf",
        "etc/hostname",
        "var/log/bootstrap.log",
        "etc/apt/sources.list",
    ):
        (tree / name).unlink(missing_ok=True)
    machine_id = tree / "etc/machine-id"
    machine_id.unlink(missing_ok=True)
    machine_id.touch(0o444)
    (tree / "var/lib/dbus/machine-id").unlink(missing_ok=True)
    # The installer writes it, debootstrap does not; without it `localhost` is no address.
    (tree / "etc/hosts").write_text("127.0.0.1 localhost\n::1 localhost ip6-localhost\n")
    root = f"--root={tree}"
    run(["systemctl", root, "disable", *OFF])
    run(["systemctl", root, "mask", *MASKED])
    run(["systemctl", root, "set-default", "multi-user.target"])
