# SPDX-License-Identifier: LGPL-2.1-or-later
"""Debian packages by name: which ones a set of names needs, and their files, verified by apt.

The solver is apt's own, over the package lists of this machine, but against a status file of
ours: what a lower layer holds and what a recipe does not follow counts as installed, and nothing
else does. The machine's own package state is neither read nor changed.
"""

import os
import re
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import unquote

from atomic_sys.errors import AtomicSysError
from atomic_sys.fs.process import Command, CommandFailed

_URI_LINE = re.compile(
    r"'\S+' (?P<file>(?P<name>[a-z0-9.+-]+)_(?P<version>\S+)_[a-z0-9]+\.deb) \d+"
)
_DOWNLOAD_TIMEOUT = 1200.0  # seconds, for about a hundred megabytes on a slow line
_PROXIES = ("http_proxy", "https_proxy", "no_proxy")


class PackagesUnavailable(AtomicSysError):
    """apt knows no such package, or cannot fetch it."""


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Package:
    """One binary package; `file` is the name apt gives it in an archive directory."""

    name: str
    version: str
    file: str


def closure(
    names: Sequence[str], *, without: Iterable[str], below: Iterable[Package]
) -> list[Package]:
    """The packages that `names` needs beyond those `below`, sorted by name; recommendations are
    not followed.

    Raises PackagesUnavailable when apt finds no solution.
    """
    with TemporaryDirectory(prefix="closure.") as scratch:
        output = _apt(
            Path(scratch), without, below, Path(scratch), ["--print-uris", "install", *names]
        )
    found = [match for line in output.splitlines() if (match := _URI_LINE.match(line))]
    packages = [
        Package(name=match["name"], version=unquote(match["version"]), file=match["file"])
        for match in found
    ]
    if not packages:
        raise PackagesUnavailable(f"apt found nothing to fetch for {' '.join(names)}")
    return sorted(packages)


def fetch(packages: Sequence[Package], archives: Path) -> list[Path]:
    """The packages' files in `archives`, fetched and verified by apt where they are not there yet.

    Raises PackagesUnavailable when a package cannot be fetched.
    """
    wanted = [archives / package.file for package in packages]
    if all(path.exists() for path in wanted):
        return wanted
    with TemporaryDirectory(prefix="fetch.") as scratch:
        exact = [f"{package.name}={package.version}" for package in packages]
        # `download` asks for no dependencies and verifies against the signed lists
        _apt(Path(scratch), (), (), archives, ["download", *exact])
    missing = [path.name for path in wanted if not path.exists()]
    if missing:
        raise PackagesUnavailable(f"apt did not deliver {', '.join(missing)}")
    return wanted


def _apt(
    scratch: Path,
    without: Iterable[str],
    below: Iterable[Package],
    workdir: Path,
    arguments: Sequence[str],
) -> str:
    """Run apt-get in `workdir` against our own status file and an empty archive directory."""
    if shutil.which("apt-get") is None:
        raise PackagesUnavailable("the example images are built from Debian's packages, on Debian")
    (scratch / "archives" / "partial").mkdir(parents=True)
    status = scratch / "status"
    status.write_text("".join(_installed(without, below)))
    options = {
        "Dir::State::status": os.fspath(status),
        "Dir::Cache::archives": os.fspath(scratch / "archives"),
        "Dir::Cache::pkgcache": "",  # caches of another status file would be rebuilt each time
        "Dir::Cache::srcpkgcache": "",
        "APT::Install-Recommends": "false",
        "APT::Sandbox::User": "root",  # the archive directory need not be open to another user
    }
    flags = [word for key, value in options.items() for word in ("-o", f"{key}={value}")]
    inner = ["apt-get", *flags, "-qq", *arguments]
    try:
        done = Command(
            argv=["env", "-C", os.fspath(workdir), *inner],
            environment={key: os.environ[key] for key in _PROXIES if key in os.environ},
            timeout=_DOWNLOAD_TIMEOUT,
        ).check()
    except CommandFailed as error:
        raise PackagesUnavailable(
            str(error).replace("env failed", "apt-get failed", 1),
            hint="apt-get update, so that the package lists are there and fresh",
        ) from None
    return done.stdout.decode("utf-8", "replace")


def _installed(without: Iterable[str], below: Iterable[Package]) -> Iterable[str]:
    versions = dict.fromkeys(without, "99:0") | {package.name: package.version for package in below}
    for name, version in versions.items():
        yield (
            f"Package: {name}\nStatus: install ok installed\nVersion: {version}\n"
            "Architecture: all\nMulti-Arch: foreign\nMaintainer: none\nDescription: none\n\n"
        )
