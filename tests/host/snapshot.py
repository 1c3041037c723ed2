# SPDX-License-Identifier: LGPL-2.1-or-later
"""Lists everything in a host's file system, to say what a command left behind.

Promised: every name below ROOTS is in the list with its type, mode, owner and content (size and
SHA-256, a link's target, a device's number); times are not, as reading and renaming change them.
Names that change by themselves while nobody does anything are left out by NOISE, which says why.
"""

import json
from collections.abc import Mapping, Sequence

from tests.host.host import Host

ROOTS = ("/etc", "/usr", "/var", "/run", "/root", "/opt", "/srv", "/home", "/tmp", "/ostree")
NOISE = (
    "/run/systemd", "/run/udev", "/run/log", "/run/utmp", "/run/user",  # the running systemd's
    "/run/dbus", "/run/host", "/run/credentials",
    "/var/log", "/var/tmp/systemd-private-*", "/tmp/systemd-private-*",  # journals, private /tmp
    "/var/lib/systemd", "/var/lib/private", "/var/cache/ldconfig",
    "/etc/machine-id",  # committed by the first boot
    "/var/lib/test-registry-*",  # the registry is the test's
    "*/__pycache__",  # Python's cache of what it runs
)  # fmt: skip
LIST = """
import fnmatch, hashlib, json, os, stat, sys
roots, noise = json.load(sys.stdin)
found = {}
def look(path):
    if any(fnmatch.fnmatch(path, pattern) for pattern in noise):
        return
    try:
        status = os.lstat(path)
    except FileNotFoundError:
        return
    kind = stat.S_IFMT(status.st_mode)
    line = f"{stat.filemode(status.st_mode)} {status.st_uid}:{status.st_gid}"
    if kind == stat.S_IFREG:
        with open(path, "rb") as file:
            line += f" {status.st_size} {hashlib.file_digest(file, 'sha256').hexdigest()}"
    elif kind == stat.S_IFLNK:
        line += f" -> {os.readlink(path)}"
    elif kind in (stat.S_IFBLK, stat.S_IFCHR):
        line += f" {status.st_rdev:#x}"
    found[path] = line
    # Another file system below, an overlay mount say, is no part of this one's content.
    if kind == stat.S_IFDIR and (path in roots or not os.path.ismount(path)):
        for name in os.listdir(path):
            look(os.path.join(path, name))
for root in roots:
    look(root)
json.dump(found, sys.stdout)
"""


def snapshot(host: Host, roots: Sequence[str] = ROOTS) -> dict[str, str]:
    """Every path of the host below `roots` that is no noise, with what it is."""
    asked = json.dumps([list(roots), NOISE])
    listed = host.run(["/usr/bin/python3", "-c", LIST], input=asked, timeout=120).stdout
    return dict(json.loads(listed))


def difference(
    before: Mapping[str, str], after: Mapping[str, str], *, kept: Sequence[str] = ()
) -> tuple[str, ...]:
    """What changed, as `+ path`, `- path` and `~ path` in the order of the paths.

    Paths in `kept`, and what is below them, may change.
    """
    changed = []
    for path in sorted(before.keys() | after.keys()):
        if any(path == name or path.startswith(name + "/") for name in kept):
            continue
        if path not in before:
            changed.append(f"+ {path}")
        elif path not in after:
            changed.append(f"- {path}")
        elif before[path] != after[path]:
            changed.append(f"~ {path}")
    return tuple(changed)
