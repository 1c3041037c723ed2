# SPDX-License-Identifier: LGPL-2.1-or-later
"""What each example image is made of: one row per image, nothing computed.

Packages are Debian's, taken by name with their dependencies; `without` names the dependencies
that are not followed, because only a maintainer script or a part that nobody runs here would need
them. That no program misses a library because of it is checked at build time for every path in
`programs`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """A set of packages unpacked over each other, and what their maintainer scripts would have
    made."""

    packages: tuple[str, ...]
    without: tuple[str, ...] = ()
    links: Mapping[str, str] = field(default_factory=dict)
    programs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """An image: layers below, then `images/NAME/{rootfs,exports}` and the mount points on top."""

    name: str
    summary: str
    version: str = ""
    version_of: str = ""
    layers: tuple[Layer, ...]
    modules: tuple[str, ...] = ()
    directories: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)


# Needed by the kernel's and the runtime's mounts on a read-only root: what is missing there, a
# runtime would create in the checkout, which then differs from its image.
MOUNT_POINTS = ("dev", "proc", "run/notify", "sys/fs/cgroup", "tmp", "var/tmp", "etc", "root")

SCRIPTS_ONLY = (
    "adduser", "debconf", "dpkg", "init-system-helpers", "libdebconfclient0", "lsb-base", "mawk",
    "passwd", "perl-base", "sysvinit-utils",
)  # fmt: skip

BASE = Layer(
    packages=("base-files", "base-passwd", "busybox-static", "libc6", "netbase"),
    without=(*SCRIPTS_ONLY, "libselinux1"),
)
BUSYBOX = Layer(packages=("busybox-static",))
ETCD = Layer(
    packages=("etcd-server", "etcd-client"),
    without=SCRIPTS_ONLY,
    programs=("usr/bin/etcd", "usr/bin/etcdctl"),
)
IPTABLES_LINKS = {
    f"usr/sbin/{family}{action}": "xtables-nft-multi"
    for family in ("iptables", "ip6tables")
    for action in ("", "-save", "-restore")
}
FLANNEL = Layer(
    packages=("python3-minimal", "libpython3-stdlib", "iproute2", "iptables"),
    without=(
        *SCRIPTS_ONLY, "libcap2-bin", "libdb5.3", "libncursesw6", "libnsl2", "libreadline8",
        "libsqlite3-0", "libtinfo6", "libtirpc3", "libuuid1", "media-types", "readline-common",
    ),
    links=MappingProxyType(IPTABLES_LINKS),
    programs=(
        "usr/bin/python3", "usr/bin/ip", "usr/sbin/bridge", "usr/sbin/xtables-nft-multi",
    ),
)  # fmt: skip
DOCKER = Layer(
    packages=("docker.io", "containerd", "runc", "iptables", "ca-certificates", "tini"),
    without=(*SCRIPTS_ONLY, "openssl"),
    links=MappingProxyType(IPTABLES_LINKS),
    programs=(
        "usr/sbin/dockerd", "usr/bin/docker", "usr/sbin/docker-proxy", "usr/bin/containerd",
        "usr/bin/containerd-shim-runc-v2", "usr/sbin/runc", "usr/sbin/xtables-nft-multi",
    ),
)  # fmt: skip

SYSTEM = MappingProxyType({"atomic.type": "system"})

RECIPES = MappingProxyType({
    recipe.name: recipe
    for recipe in (
        Recipe(
            name="etcd",
            summary="etcd, a key-value store for the data that a cluster must not lose",
            version_of="etcd-server",
            layers=(BASE, ETCD),
            directories=("etc/etcd", "var/lib/etcd"),
            command=("/usr/libexec/etcd/start",),
            environment=MappingProxyType({
                "ETCD_DATA_DIR": "/var/lib/etcd",
                "ETCD_INITIAL_ADVERTISE_PEER_URLS": "http://127.0.0.1:2380",
                "ETCD_NAME": "default",
            }),
            labels=SYSTEM,
        ),
        Recipe(
            name="flannel",
            summary="An overlay network for containers: subnet leases in etcd, traffic by vxlan",
            version="1.0.0",
            layers=(BASE, FLANNEL),
            directories=("etc/flannel", "run/flannel"),
            modules=("images/flannel/agent",),
            command=("/usr/bin/python3", "-m", "images.flannel.agent"),
            environment=MappingProxyType({"PYTHONPATH": "/usr/lib/flannel"}),
            labels=SYSTEM,
        ),
        Recipe(
            name="docker",
            summary="The Docker daemon and its client",
            version_of="docker.io",
            layers=(BASE, DOCKER),
            directories=("etc/docker", "home", "host", "media", "mnt", "opt", "srv"),
            command=("/usr/libexec/docker/start",),
            labels=SYSTEM,
        ),
        Recipe(
            name="hello-world",
            summary="A web server that greets whom it is told to",
            version_of="busybox-static",
            layers=(BUSYBOX,),
            directories=("var/www",),
            command=("/usr/libexec/hello/start",),
            environment=MappingProxyType({"PORT": "8081", "RECEIVER": "World"}),
            labels=SYSTEM,
        ),
        Recipe(
            name="busybox",
            summary="Small Unix tools; a plain image without /exports",
            version_of="busybox-static",
            layers=(BUSYBOX,),
            command=("sh",),
        ),
    )
})
