# SPDX-License-Identifier: LGPL-2.1-or-later
"""`atomic mount IMAGE|NAME DIR` and `atomic unmount DIR`."""

import contextlib
import os
from functools import partial

from atomic_sys.engine import observe
from atomic_sys.engine.mounts import Wanted
from atomic_sys.errors import UsageError, doing
from atomic_sys.frozen import frozen
from atomic_sys.fs.directory import open_directory, opened
from atomic_sys.fs.mount import MountAttribute
from atomic_sys.host import Host
from atomic_sys.model.names import ContainerName
from atomic_sys.store.checkout import Content
from atomic_sys.store.view import Tree
from atomic_sys.verbs.image_details import find_image
from atomic_sys.verbs.mounts import open_mounts

_ROOTFS = "rootfs"
_DEFAULT = MountAttribute.READ_ONLY | MountAttribute.NO_SET_ID | MountAttribute.NO_DEVICES
_SET = {
    "nosuid": MountAttribute.NO_SET_ID,
    "nodev": MountAttribute.NO_DEVICES,
    "noexec": MountAttribute.NO_PROGRAMS,
    "ro": MountAttribute.READ_ONLY,
}
_CLEARED = {
    "suid": MountAttribute.NO_SET_ID,
    "dev": MountAttribute.NO_DEVICES,
    "exec": MountAttribute.NO_PROGRAMS,
    "rw": MountAttribute.READ_ONLY,
}


@frozen
class MountOptions:
    """How to mount: read-only, without set-ID programs and devices, unless it is asked for."""

    attributes: MountAttribute = _DEFAULT

    @property
    def writable(self) -> bool:
        """Whether it can be written to, which then changes no store and no deployment."""
        return not self.attributes & MountAttribute.READ_ONLY


def parse_options(texts: list[str]) -> MountOptions:
    """The options of `-o`, as mount(8) has them: of two that contradict, the last one wins.

    Raises UsageError for one that is not known.
    """
    attributes = _DEFAULT
    for word in ",".join(texts).split(",") if texts else ():
        if word in _SET:
            attributes |= _SET[word]
        elif word in _CLEARED:
            attributes &= ~_CLEARED[word]
        else:
            known = ", ".join(sorted((*_SET, *_CLEARED)))
            raise UsageError(f"-o: unknown option {word!r}", hint=f"there is: {known}")
    return MountOptions(attributes=attributes)


def mount(what: str, target: str, options: MountOptions, host: Host) -> None:
    """Show the files of a container's current deployment, or of an image, at a directory.

    Of an image and a container of one name it is the container. Raises NotFound, AtomicSysError,
    Damaged, Busy, OSError.
    """
    with doing(f"mounting {what}"):
        rootfs = _rootfs_of_container(what, host)
        if rootfs is not None:
            make = partial(_open_deployed, host, rootfs)
        else:
            make = partial(_check_out, host, host.store.tree(find_image(what, host).image))
        wanted = Wanted(make=make, attributes=options.attributes, writable=options.writable)
        with open_mounts(host) as mounts:
            mounts.mount(wanted, target)


def _open_deployed(host: Host, rootfs: str, _own: int) -> int:
    return open_directory(host.root, rootfs)


def _check_out(host: Host, tree: Tree, own: int) -> int:
    host.store.check_out(tree, own, _ROOTFS, Content.LINKS_OR_COPIES)
    with opened(own, _ROOTFS) as fd:
        return os.dup(fd)


def _rootfs_of_container(text: str, host: Host) -> str | None:
    """The path of its files as seen from inside the root; None where there is no such container."""
    with contextlib.suppress(UsageError):
        container = observe.find(host.root, host.paths, ContainerName.parse(text))
        if container is not None:
            return f"{container.deployment}/{_ROOTFS}"
    return None


def unmount(target: str, host: Host) -> None:
    """Take away what mount() has put there. Raises AtomicSysError, Busy, OSError."""
    with doing(f"unmounting {target}"), open_mounts(host) as mounts:
        mounts.unmount(target)
