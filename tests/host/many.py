# SPDX-License-Identifier: LGPL-2.1-or-later
"""A host with many containers, all of them running.

Promised: one is installed by the command itself, and the others are that one under other names, as
the command would have installed them: links of the same files, with records, configurations and
units of their own.
"""

from collections.abc import Sequence
from pathlib import Path

from tests.host import service
from tests.host.host import Host
from tests.host.service import CHECKOUTS, atomic

FIRST = "c000"
SCRIPT = "trap 'exit 0' TERM; while :; do /bin/busybox sleep 1000 & wait; done"
COPY = f"""
import os, pathlib, subprocess, sys
checkouts, units = pathlib.Path("{CHECKOUTS}"), pathlib.Path("/etc/systemd/system")
first = "{FIRST}"
# A deployment may be mounted upon itself, and no link leads out of a mount: here it is not.
plain = pathlib.Path("/mnt")
subprocess.run(["mount", "--bind", "/", plain], check=True)
for name in sys.argv[1:]:
    here = checkouts / f"{{name}}.0"
    below = plain / checkouts.relative_to("/")
    subprocess.run(["cp", "-al", below / f"{{first}}.0", below / here.name], check=True)
    for path in (here / "info", here / "config.json", here / f"{{first}}.service"):
        text = path.read_text().replace(first, name)
        path.unlink()
        path.with_name(path.name.replace(first, name)).write_text(text)
    (checkouts / name).symlink_to(here)
    (units / f"{{name}}.service").write_text((here / f"{{name}}.service").read_text())
    (units / f"multi-user.target.wants/{{name}}.service").symlink_to(units / f"{{name}}.service")
subprocess.run(["umount", plain], check=True)
"""


def names(count: int) -> list[str]:
    """What they are called."""
    return [f"c{number:03}" for number in range(count)]


def install_many(host: Host, count: int, layouts: Path) -> Sequence[str]:
    """Installs and starts them; returns the names. `layouts` is an empty directory to work in.

    Their source is /srv/versions/many; the image that could follow it is /srv/versions/other.
    """
    for version in ("many", "other"):
        service.make_layout(layouts / version, f": {version}; {SCRIPT}", {})
    service.make_ready(host, layouts)
    atomic(host, "install", "oci:/srv/versions/many", "--name", FIRST)
    others = names(count)[1:]
    host.run(["/usr/bin/python3", "-c", COPY, *others], timeout=120)
    host.run(["systemctl", "daemon-reload"])
    host.run(["systemctl", "start", *names(count)], timeout=300)
    return names(count)
