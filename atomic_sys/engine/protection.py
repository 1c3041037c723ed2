# SPDX-License-Identifier: LGPL-2.1-or-later
"""Deployments protected from accidents: a read-only mount of each root file system upon itself.

The files of a root file system are the store's own, by hard links, so whoever writes to one of them
damages every image that has it. The mount is in the host's mount namespace, thus for everybody, as
long as the host runs; what is stored is not changed by it, so that links, ostree and a repair work
as ever. It does not hold against root who unmounts it, and does not cover the store's own
directory, which only root can enter. docs/architecture.md has what else was measured.

The mount stands on another one, a writable one of the deployment upon itself, which shares nothing
with the mount below it. Else the kernel would propagate it to each container that runs from these
files already: onto its root, above its /proc (mount_namespaces(7)).
"""

import contextlib
import os
from collections.abc import Iterator

from atomic_sys import log
from atomic_sys.engine import mount_points
from atomic_sys.engine.observe import ROOTFS
from atomic_sys.errors import AtomicSysError
from atomic_sys.fs import mount, namespace
from atomic_sys.fs.atomic import read_file
from atomic_sys.fs.directory import exists, open_root, opened, read_link
from atomic_sys.fs.mount import MountAttribute
from atomic_sys.model import strict_json
from atomic_sys.model.strict_json import InvalidJson

_CONFIG = "config.json"
_LIMIT = 4 << 20  # bytes of a config.json
_DEV: tuple[str, ...] = ("dev",)


def protect(deployment: str) -> str | None:
    """Protect the root file system of the deployment at this path of the host.

    It can be repeated. Returns why it is not protected, else None. Raises OSError.
    """
    return namespace.in_first(lambda: _protect(deployment))


def _protect(deployment: str) -> str | None:
    directory = open_root(deployment)
    try:
        if not exists(directory, ROOTFS):
            return "it has no root file system"
        if read_link(directory, ROOTFS) is not None:
            return "its root file system is elsewhere"
        if is_protected(deployment):
            return None
        document = read_file(directory, _CONFIG, _LIMIT) or b""
        reason = obstacle(document)
        if reason is None:
            reason = _make_places(directory, document, deployment) or _mount(directory, deployment)
        return reason
    finally:
        os.close(directory)


def _make_places(directory: int, document: bytes, deployment: str) -> str | None:
    with opened(directory, ROOTFS) as rootfs:
        for place in mount_points.places(rootfs, mount_points.targets(document)):
            if not mount_points.make(rootfs, place, deployment):
                return f"its runtime has yet to make /{'/'.join(place.path)}"
    return None


def _mount(directory: int, deployment: str) -> str | None:
    try:
        below = mount.bind(directory, MountAttribute(0))
    except PermissionError:
        return "mounts are not permitted here"
    try:
        mount.make_private(below)
        mount.attach(below, directory)
        with opened(below, ROOTFS) as rootfs:
            above = mount.bind(rootfs, MountAttribute.READ_ONLY)
            try:
                mount.make_private(above)
                mount.attach(above, rootfs)
            finally:
                os.close(above)
    except BaseException:
        _release(deployment)
        raise
    finally:
        os.close(below)
    return None


def obstacle(document: bytes) -> str | None:
    """Why what runs by this config.json may write to its root file system, None if it cannot.

    Pure. The runtime itself makes devices where nothing is mounted on /dev; what a hook does there
    nobody knows.
    """
    try:
        body = strict_json.as_object(strict_json.loads(document, _CONFIG), _CONFIG)
    except InvalidJson:
        return f"its {_CONFIG} cannot be read"
    root = body.get("root")
    if not isinstance(root, dict) or root.get("readonly") is not True:
        return "its root file system is not read-only to itself"
    if body.get("hooks"):
        return "it has hooks of the runtime"
    if _DEV not in [target.path for target in mount_points.targets(document)]:
        return "it has no /dev of its own"
    return None


def is_protected(deployment: str) -> bool:
    """Whether it is, as this process sees it. Raises OSError."""
    rootfs = f"{os.path.realpath(deployment)}/{ROOTFS}"
    return any(one.target == rootfs for one in _ours(deployment))


def _ours(deployment: str) -> list[mount.Mount]:
    """The mounts of the deployment, and of its root file system, upon themselves."""
    path = os.path.realpath(deployment)
    name = os.path.basename(path)
    ends = {path: f"/{name}", f"{path}/{ROOTFS}": f"/{name}/{ROOTFS}"}
    return [one for one in mount.mounts() if one.root.endswith(ends.get(one.target, "\0"))]


def release(deployment: str) -> None:
    """Take the protection away, here and on the host; nothing is fine too. Raises OSError."""
    _release(deployment)
    namespace.in_first(lambda: _release(deployment))


def _release(deployment: str) -> None:
    while found := _ours(deployment):
        mount.detach_lazily(found[0].target)  # with what is mounted below


@contextlib.contextmanager
def released(deployment: str) -> Iterator[None]:
    """Without the protection for the length of the block, if there is one. Raises OSError.

    Files cannot be linked from a protected deployment to elsewhere: link(2) wants one mount.
    """
    protected = namespace.in_first(lambda: is_protected(deployment))
    if protected:
        release(deployment)
    try:
        yield
    finally:
        if protected:
            try:
                protect(deployment)
            except (AtomicSysError, OSError) as error:  # what was done counts more
                log.debug(f"{deployment} is not protected any more: {error}")
