# SPDX-License-Identifier: LGPL-2.1-or-later
"""The programs that are compared, as command lines.

Each gets a fresh directory and an image of a registry, and leaves the image's root file system
there, or what it has instead of one: podman mounts its layers when a container starts.
"""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.ours import files

_OSTREE = r"""set -e
cd "$1"
skopeo copy -q --insecure-policy --src-tls-verify=false "docker://$2" "dir:image"
test -d repo || ostree init --repo=repo --mode=bare
for layer in $(python3 -IS -c 'import json
for layer in json.load(open("image/manifest.json"))["layers"]: print(layer["digest"][7:])'); do
    # A layer that is there already is not committed again.
    ostree --repo=repo rev-parse "layer/$layer" >/dev/null 2>&1 ||
        ostree --repo=repo commit -b "layer/$layer" --tree="tar=image/$layer" \
            --tar-autocreate-parents
    ostree --repo=repo checkout -H --union --whiteouts "layer/$layer" "rootfs-${2##*:}"
done
"""
_UMOCI = """set -e
cd "$1"
skopeo copy -q --insecure-policy --src-tls-verify=false "docker://$2" oci:image:it
umoci unpack --image image:it bundle
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contender:
    """A program: how it gets an image, whether again for the same directory, and zstd."""

    name: str
    command: Callable[[Path, str], Sequence[str]]
    again: bool = True
    zstd: bool = True


def ours(directory: Path, image: str) -> list[str]:
    """Pull and check out."""
    return [sys.executable, "-m", "benchmarks.ours", "pull", str(directory), image]


def ours_unchanged(directory: Path, image: str) -> list[str]:
    """Pull what was pulled and checked out before: the command itself."""
    policy, registries = files(directory)
    where = ["--root", str(directory), "--policy", policy, "--registries-conf", registries]
    return [sys.executable, "-m", "atomic_sys", *where, "pull", image]


def ours_checkout(directory: Path, image: str, name: str) -> list[str]:
    """Check an image out that is in the store."""
    return [sys.executable, "-m", "benchmarks.ours", "checkout", str(directory), image, name]


def _podman(directory: Path, image: str) -> list[str]:
    storage = ["--root", str(directory / "storage"), "--runroot", str(directory / "run")]
    driver = ["--storage-driver", "overlay", "--cgroup-manager", "cgroupfs"]
    return ["podman", *storage, *driver, "pull", "-q", "--tls-verify=false", image]


def _ostree(directory: Path, image: str) -> list[str]:
    return ["sh", "-c", _OSTREE, "sh", str(directory), image]


def _umoci(directory: Path, image: str) -> list[str]:
    return ["sh", "-c", _UMOCI, "sh", str(directory), image]


OURS = Contender(name="atomic-sys", command=ours)
PODMAN = Contender(name="podman pull", command=_podman)
OSTREE = Contender(name="skopeo + ostree", command=_ostree)
UMOCI = Contender(name="skopeo + umoci", command=_umoci, again=False, zstd=False)
ALL = (OURS, PODMAN, OSTREE, UMOCI)
