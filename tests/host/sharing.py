# SPDX-License-Identifier: LGPL-2.1-or-later
"""Images whose files are elsewhere, for tests of `--rootfs`: two versions, what runs of them."""

from pathlib import Path

from tests.host.host import Host
from tests.host.service import SERVE, UNIT, atomic, busybox, make_trusting
from tests.support import images, layers

SHARED = "/srv/shared"  # where a host has the exported directories


def make_layouts(directory: Path) -> None:
    """The images `1` and `2`, which say so in /version."""
    for version in ("1", "2"):
        unit = UNIT.format(version=version, target="multi-user.target")
        content = [
            *(layers.directory(name) for name in ("proc", "dev", "sys", "run", "tmp")),
            *busybox("sh", "cat", "touch"),
            layers.file("version", version.encode()),
            layers.file("exports/service.template", unit.encode()),
        ]
        images.layout(
            directory / version, content, {"Cmd": ["/bin/sh", "-c", SERVE.format(version)]}
        )


def export(host: Host, layouts: Path) -> None:
    """The product, both images in /srv/images, and their files in /export; its store is empty."""
    make_trusting(host, layouts, "/srv/images")
    for path in ("/export", SHARED):
        host.path(path).mkdir()
    for number in ("1", "2"):
        atomic(host, "--root=/", "pull", f"oci:/srv/images/{number}")
        atomic(host, "images", "checkout", "--copy", number, f"/export/{number}")
        atomic(host, "images", "delete", number)
    atomic(host, "images", "prune")


def make_mount_points(host: Host) -> None:
    """What the hint of a refusal says, where the export can be written to; it is mounted."""
    for number in ("1", "2"):
        done = atomic(
            host, "install", f"--rootfs={SHARED}/{number}", f"oci:/srv/images/{number}", code=None
        )
        said = done.stderr.partition("hint: in it, where it can be written to: ")[2]
        commands = said.partition(";")[0]
        assert "touch etc/hosts" in commands
        host.run(["sh", "-c", f"cd /export/{number} && {commands}"])


def version(host: Host, name: str) -> str:
    """What the running container sees."""
    return host.run(["runc", "exec", name, "/bin/cat", "/version"]).stdout


def assert_read_only(host: Host, name: str) -> None:
    """The container cannot write to its root."""
    written = host.run(["runc", "exec", name, "/bin/touch", "/new"], check=False)
    assert (written.returncode, "Read-only file system" in written.stderr) == (1, True)
