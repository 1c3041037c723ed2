# SPDX-License-Identifier: LGPL-2.1-or-later
"""Hosts that share a directory read-only, and the one place that fills it."""

import contextlib
import json
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.support import images, layers, places
from tests.support.layers import Member, listing
from tests.support.places import Place

_HIDDEN = (f"{places.CHECKOUTS}/.storage", f"{places.CHECKOUTS}/.lock",
           f"{places.CHECKOUTS}/.journal", "srv")  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Fleet:
    """`export` is filled by one host; the others have it read-only at /srv/export."""

    top: Path
    builder: Place
    hosts: Mapping[str, Place]

    @property
    def export(self) -> Path:
        return self.top / "export"

    @property
    def layout(self) -> Path:
        return self.top / "hello"

    @property
    def image(self) -> str:
        return f"oci:{self.layout}"

    @property
    def policy(self) -> Path:
        return self.builder.policy

    def content(self, version: str, *, host_files: bool = True) -> list[Member]:
        """Busybox, all that a runtime mounts on, and a file that tells the version."""
        busybox = shutil.which("busybox")
        assert busybox is not None
        config = json.loads(images.CONFIG)
        config["process"]["env"] = ["PATH=/bin"]
        mounts = (("/proc", "proc"), ("/dev", "tmpfs"), ("/data", "tmpfs"))
        config["mounts"] = [
            {"destination": place, "type": kind, "source": kind} for place, kind in mounts
        ]
        config["linux"] = {"namespaces": [{"type": "mount"}, {"type": "pid"}]}
        exports = dict(images.EXPORTS) | {"config.json.template": json.dumps(config).encode()}
        if not host_files:
            exports = {key: value for key, value in exports.items() if "hostfs" not in key}
        return [
            *images.members(exports),
            *(layers.directory(name) for name in ("data", "dev", "proc")),
            layers.file("bin/busybox", Path(busybox).read_bytes(), mode=0o755),
            layers.symlink("bin/cat", "busybox"),
            layers.file("etc/passwd", b"root:x:0:0::/:/bin/sh\n"),
            layers.file("version", f"{version}\n".encode()),
            layers.file("secret", b"s", mode=0o600, uid=7, gid=8),
            layers.file("empty"),
            layers.symlink("link", "hello", uid=9),
        ]

    def publish(self, version: str, content: Sequence[Member] | None = None) -> None:
        """From now on the source has this version."""
        shutil.rmtree(self.layout, ignore_errors=True)
        images.layout(self.layout, self.content(version) if content is None else content)

    def prepare(self, directory: str) -> None:
        """Write the files of the image that the source has into a new directory of the export."""
        self.builder.atomic("pull", self.image)
        target = self.export / directory
        self.builder.atomic("images", "checkout", "--copy", "hello", target)

    def call(self, host: str, *words: str) -> tuple[int, str, str]:
        """Exit code, stdout and stderr of the command on a host."""
        return places.call(self.hosts[host].arguments(*words))

    def install(self, host: str, directory: str, *words: str) -> tuple[int, str, str]:
        """Install the image on a host, to run from this directory of the export."""
        return self.call(
            host, "install", "--system", f"--rootfs=/srv/export/{directory}", self.image, *words
        )

    def seen(self, host: str) -> dict[str, tuple[object, ...]]:
        """Everything below the root of a host but its store and what is mounted."""
        found = listing(self.hosts[host].root)
        return {path: what for path, what in found.items() if not path.startswith(_HIDDEN)}


def _host(top: Path, name: str) -> Place:
    host = Place.make(top / name)
    for directory in ("usr/bin", "etc", "run", "usr/lib/systemd/system", "srv/export",
                      places.CHECKOUTS):  # fmt: skip
        (host.root / directory).mkdir(parents=True)
    (host.root / "usr/bin/runc").symlink_to(str(shutil.which("runc")))
    return host


@contextlib.contextmanager
def make_fleet() -> Iterator[Fleet]:
    """A builder and the hosts `a` and `b`."""
    with tempfile.TemporaryDirectory(dir="/dev/shm", prefix="fleet.") as path:
        top = Path(path)
        (top / "export").mkdir()
        hosts = {name: _host(top, name) for name in ("a", "b")}
        with contextlib.ExitStack() as stack:
            for host in hosts.values():
                mounted = host.root / "srv/export"
                subprocess.run(["mount", "--bind", top / "export", mounted], check=True)
                stack.callback(subprocess.check_call, ["umount", mounted])
                subprocess.run(["mount", "-o", "remount,bind,ro", mounted], check=True)
            yield Fleet(top=top, builder=_host(top, "builder"), hosts=hosts)
