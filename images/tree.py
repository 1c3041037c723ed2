# SPDX-License-Identifier: LGPL-2.1-or-later
"""A layer's file tree from packages: unpacked without running anything, small, the same every time.

No maintainer script runs: the few files that one would have made are made here. Documentation,
locales and init scripts are left out; copyright files stay, and each package's control fields are
kept under var/lib/dpkg/status.d for those who look for vulnerable versions. /usr is merged, as on
a Debian 12 host.
"""

import os
import re
import shutil
import stat
import subprocess
import tarfile
from collections.abc import Iterable, Mapping
from pathlib import Path

from atomic_sys.errors import AtomicSysError
from atomic_sys.fs.process import Command

MERGED = ("bin", "lib", "lib64", "sbin")

# An empty resolv.conf is where a runtime binds the host's.
_PLAIN_FILES = {
    "etc/hosts": "127.0.0.1 localhost\n::1 localhost\n",
    "etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
    "etc/resolv.conf": "",
}
_LEFT_OUT = re.compile(
    r"""usr/share/doc/[^/]+/(?!copyright$).*
      | usr/share/(man|info|locale|lintian|bug|i18n|zsh|fish|vim|nano|bash-completion|doc-base
                  |menu|pixmaps|applications|initramfs-tools|containerd|docker\.io|python3)(/.*)?
      | usr/lib/(systemd|udev|modprobe\.d|valgrind)(/.*)?
      | usr/lib/[^/]+/(gconv|audit)(/.*)?
      | usr/lib/python3[^/]*/(test|idlelib|tkinter|turtledemo|ensurepip|lib2to3|pydoc_data)(/.*)?
      | etc/(init\.d|default|apparmor\.d|logcheck|bash_completion\.d|cron[^/]*)(/.*)?
      | (boot|home|media|mnt|srv|opt|var/(backups|cache|local|lock|log|mail|opt|run|spool))(/.*)?
    """,
    re.VERBOSE,
)


def unpack(packages: Iterable[Path], root: Path) -> None:
    """Unpack the .deb files into `root`, in the order given. Needs root, for owners and modes."""
    for package in packages:
        _unpack(package, root)
        control = Command(argv=["dpkg-deb", "--field", os.fspath(package)]).check().stdout
        status = root / "var/lib/dpkg/status.d" / package.name.partition("_")[0]
        status.parent.mkdir(parents=True, exist_ok=True)
        status.write_bytes(control)


def _unpack(package: Path, root: Path) -> None:
    # a pipe, since the contents of one package may be a hundred megabytes
    argv = ["dpkg-deb", "--fsys-tarfile", os.fspath(package)]
    with subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None  # noqa: S101 - PIPE was asked for
        with tarfile.open(fileobj=process.stdout, mode="r|") as archive:
            for member in archive:
                member.name = merged(member.name)
                if member.islnk():
                    member.linkname = merged(member.linkname)
                if is_kept(member.name):
                    archive.extract(member, root, numeric_owner=True)
    if process.returncode != 0:
        raise AtomicSysError(f"dpkg-deb cannot read {package.name}")


def merged(name: str) -> str:
    """Where a package's path lies when /bin, /lib and /sbin are links into /usr.

    >>> merged("./bin/ip"), merged("./usr/share/doc")
    ('usr/bin/ip', 'usr/share/doc')
    """
    # from an imagined root, so that no number of ".." leaves it
    path = os.path.normpath(f"/{name}").lstrip("/") or "."
    return f"usr/{path}" if path.partition("/")[0] in MERGED else path


def is_kept(name: str) -> bool:
    """Whether a path of a package belongs into an image; copyright files always do."""
    return _LEFT_OUT.fullmatch(name) is None


def finish(root: Path, links: Mapping[str, str]) -> None:
    """Make what the maintainer scripts of the unpacked packages would have made, and `links`."""
    copies = {
        "usr/share/base-passwd/passwd.master": "etc/passwd",
        "usr/share/base-passwd/group.master": "etc/group",
    }
    if all((root / source).exists() for source in copies):
        for source, target in copies.items():
            shutil.copyfile(root / source, root / target)
        for name, text in _PLAIN_FILES.items():
            (root / name).write_text(text)
        link(root, "var/run", "/run")
        link(root, "var/lock", "/run/lock")
    if (root / "usr/bin/busybox").exists():
        for name in MERGED:
            (root / "usr" / name).mkdir(parents=True, exist_ok=True)
            link(root, name, f"usr/{name}")
        listed = Command(argv=[os.fspath(root / "usr/bin/busybox"), "--list-full"]).check().stdout
        for applet in listed.decode("ascii").split():
            link(root, merged(applet), "/usr/bin/busybox")
    certificates = sorted((root / "usr/share/ca-certificates").rglob("*.crt"))
    if certificates:
        bundle = root / "etc/ssl/certs/ca-certificates.crt"
        bundle.parent.mkdir(parents=True, exist_ok=True)
        bundle.write_bytes(b"".join(path.read_bytes().rstrip() + b"\n" for path in certificates))
    for name, target in links.items():
        link(root, name, target)


def link(root: Path, name: str, target: str) -> None:
    """Make a symbolic link in the tree, unless the name is taken by something that is no link."""
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.is_symlink():
        path.unlink()
    if not path.exists():
        path.symlink_to(target)


def normalise(root: Path, epoch: int) -> None:
    """Clamp every modification time to `epoch` (seconds); a directory's is set to it.

    A directory's time says when it was unpacked, a file's when Debian built it.
    """
    for directory, names, files in os.walk(root, topdown=False):
        for name in (*names, *files):
            path = os.path.join(directory, name)
            status = os.lstat(path)
            is_directory = stat.S_ISDIR(status.st_mode)
            time = epoch if is_directory else min(int(status.st_mtime), epoch)
            os.utime(path, (time, time), follow_symlinks=False)
    os.utime(root, (epoch, epoch))


def check_programs(root: Path, programs: Iterable[str]) -> None:
    """Raise AtomicSysError unless every program finds the shared libraries it needs in `root`."""
    loaders = sorted((root / "usr").glob("lib*/ld-linux*.so.*"))
    if not loaders:
        raise AtomicSysError("the image has no dynamic loader")
    loader = f"/{loaders[0].relative_to(root)}"
    for program in programs:
        listed = Command(argv=["chroot", os.fspath(root), loader, "--list", f"/{program}"]).run()
        if listed.returncode != 0 or b"not found" in listed.stdout:
            missing = [
                line.split()[0]
                for line in listed.stdout.decode().splitlines()
                if "not found" in line
            ]
            raise AtomicSysError(
                f"{program} cannot run in the image: {', '.join(missing) or listed.stderr_tail}",
                hint="the recipe leaves out a package that it needs",
            )
