# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a runtime makes in a root file system: the mount points and the working directory.

It makes those that the image lacks, when the container starts. Where the root file system is to be
read-only before that, they must be there by then. Sources: runtime-spec config.md (mounts,
process.cwd); runc's prepareRootfs(), crun's do_mounts().
"""

import contextlib
import errno
import os
import stat
from collections.abc import Iterator, Mapping

from atomic_sys.frozen import frozen
from atomic_sys.fs.directory import component, open_in_root, opened
from atomic_sys.model import strict_json
from atomic_sys.model.layer import LayerPath
from atomic_sys.model.strict_json import InvalidJson, Json

_PATH = os.O_PATH | os.O_CLOEXEC
_NEW = os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW


@frozen
class Target:
    """A path in the container that is to be there; `source` is what is bound to it, if that is."""

    path: LayerPath
    source: str | None


@frozen
class Place:
    """Where a target is, links resolved inside the root file system; `made` says that it is there.

    Below `above`, which is there, nothing else is in the way.
    """

    path: LayerPath
    above: LayerPath
    source: str | None

    @property
    def made(self) -> bool:
        """Whether it is there."""
        return self.path == self.above


def targets(document: bytes) -> tuple[Target, ...]:
    """Of a config.json, in the order in which they are mounted; none of one that has no sense."""
    try:
        body = strict_json.as_object(strict_json.loads(document, "config.json"), "config.json")
    except InvalidJson:
        return ()
    mounts = body.get("mounts")
    process = body.get("process")
    found = [_target(mount) for mount in mounts] if isinstance(mounts, list) else []
    if isinstance(process, dict) and isinstance(process.get("cwd"), str):
        found.append(Target(path=_components(str(process["cwd"])), source=None))
    return tuple(target for target in found if target is not None)


def _target(mount: Json) -> Target | None:
    if not isinstance(mount, dict) or not isinstance(mount.get("destination"), str):
        return None
    source = mount.get("source")
    bound = _is_bind(mount) and isinstance(source, str)
    return Target(
        path=_components(str(mount["destination"])), source=str(source) if bound else None
    )


def _is_bind(mount: Mapping[str, Json]) -> bool:
    options = mount.get("options")
    words = options if isinstance(options, list) else []
    return mount.get("type") == "bind" or "bind" in words or "rbind" in words


def _components(path: str) -> LayerPath:
    done: list[str] = []
    for part in path.split("/"):
        if part == "..":
            del done[-1:]
        elif part not in ("", "."):
            done.append(part)
    return tuple(done)


def places(rootfs: int, wanted: tuple[Target, ...]) -> Iterator[Place]:
    """Where the targets are in an open root file system; not those inside of an earlier mount.

    A link that leads to nothing counts as what is in the way: its place is not made. Raises
    OSError.
    """
    mounted: list[LayerPath] = []
    for target in wanted:
        place = _place(rootfs, target)
        if not any(place.path[: len(path)] == path for path in mounted if path):
            yield place
        mounted.append(place.path)


def _place(rootfs: int, target: Target) -> Place:
    top = os.readlink(f"/proc/self/fd/{rootfs}")
    for depth in range(len(target.path), -1, -1):
        there, missing = target.path[:depth], target.path[depth:]
        try:
            fd = open_in_root(rootfs, "/".join(there) or ".", _PATH)
        except OSError:  # nothing there, or a loop of links
            continue
        try:
            real = os.readlink(f"/proc/self/fd/{fd}").removeprefix(top)
        finally:
            os.close(fd)
        above = _components(real)
        return Place(path=(*above, *missing), above=above, source=target.source)
    raise FileNotFoundError(2, os.strerror(2), top)


def may_be_added(rootfs: int, document: bytes) -> frozenset[LayerPath]:
    """The paths that the runtime may have made, with those above them. Raises OSError."""
    found = [place.path for place in places(rootfs, targets(document))]
    return frozenset(path[:depth] for path in found for depth in range(1, len(path) + 1))


def make(rootfs: int, place: Place, bundle: str) -> bool:
    """Make what is missing of a place; False where nobody can say yet what it must be.

    What is bound to a file needs a file, and a source that is not there yet could be either;
    relative ones are in the bundle. Raises OSError.
    """
    if place.made:
        return True
    is_file = False
    if place.source is not None:
        try:
            mode = os.stat(os.path.join(bundle, place.source)).st_mode
        except OSError:
            return False
        is_file = not stat.S_ISDIR(mode)
    missing = place.path[len(place.above) :]
    with contextlib.ExitStack() as stack:
        fd = open_in_root(rootfs, "/".join(place.above) or ".")
        stack.callback(os.close, fd)
        try:
            for name in missing[:-1] if is_file else missing:
                with contextlib.suppress(FileExistsError):  # the runtime is making it, too
                    os.mkdir(component(name), 0o755, dir_fd=fd)
                fd = stack.enter_context(opened(fd, name))
            if is_file:
                os.close(os.open(component(missing[-1]), _NEW, 0o644, dir_fd=fd))
        except OSError as error:
            if error.errno not in (errno.ELOOP, errno.ENOTDIR):
                raise
            return False  # a link to nothing: a runtime makes what it leads to
    return True
