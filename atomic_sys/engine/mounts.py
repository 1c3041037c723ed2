# SPDX-License-Identifier: LGPL-2.1-or-later
"""Images and containers, mounted: what `atomic mount` put somewhere, and what it takes for that.

Each mount has a directory of its own below the storage, `mounts/ID/`, with its record, the checkout
of an image, and where it is writable the upper directory of its overlay: nothing is ever written to
the store or to a deployment. Unmounting removes the directory. After a crash or a reboot the
directory is without a mount, and the next mount, or `images prune`, removes it.
"""

import contextlib
import errno
import json
import os
import secrets
import stat
from collections.abc import Callable, Iterable, Iterator

from atomic_sys.errors import AtomicSysError
from atomic_sys.frozen import frozen
from atomic_sys.fs import mount as kernel
from atomic_sys.fs.atomic import read_file, write_file
from atomic_sys.fs.directory import open_root, opened, remove_tree
from atomic_sys.fs.lock import LockKind, locked
from atomic_sys.fs.mount import Mount, MountAttribute
from atomic_sys.model.strict_json import InvalidJson, as_object, as_string, loads

DIRECTORY = ".storage/mounts"  # below the directory of the checkouts
_RECORD = "mount.json"
_LIMIT = 1 << 16  # bytes of a record
_ROOTFS, _UPPER, _WORK = "rootfs", "upper", "work"
_UNFIT = ",:\\"  # which separate the options of an overlay, and its layers
_DELETED = "//deleted"  # what mountinfo appends to the root of a mount whose directory is gone


@frozen
class Wanted:
    """What to mount.

    `make` opens the directory to show, and may make it in the directory that it is given; it
    returns a descriptor. A `writable` mount is an overlay upon it.
    """

    make: Callable[[int], int]
    attributes: MountAttribute
    writable: bool


@frozen
class _Record:
    """How the mount is known again: where it is, its source, or the end of its root's path."""

    identity: str
    target: str
    source: str
    root: str

    def is_of(self, mount: Mount) -> bool:
        """Whether it is this mount, or one that somebody made of it elsewhere.

        The files of a container can be those of several mounts, so there the place decides.
        """
        if self.source:
            return mount.source == self.source
        shown = mount.root.removesuffix(_DELETED).endswith(f"/{self.root}")
        own = self.root.startswith(f"{self.identity}/")
        return shown and (own or mount.target == self.target)


class Mounts:
    """The mounts of one storage; `fd` is the directory of them, `timeout` in seconds."""

    def __init__(self, fd: int, timeout: float) -> None:
        self._fd = fd
        self._timeout = timeout

    def mount(self, wanted: Wanted, target: str) -> None:
        """Put it on the directory `target`, which is there and empty.

        When it fails nothing stays. Raises AtomicSysError, Busy, OSError.
        """
        real = os.path.realpath(target, strict=True)
        directory = open_root(real)
        try:
            if os.listdir(directory):
                raise AtomicSysError("The destination path is not empty.")
            with self._locked():
                self._clean()
                self._mount(wanted, real, directory)
        finally:
            os.close(directory)

    def _mount(self, wanted: Wanted, real: str, directory: int) -> None:
        identity = secrets.token_hex(6)
        os.mkdir(identity, 0o700, dir_fd=self._fd)
        try:
            with opened(self._fd, identity) as own, _closing(wanted.make(own)) as shown:
                path = _path(shown)
                source = f"atomic:{identity}" if wanted.writable else ""
                root = "" if source else "/".join(path.split("/")[-2:])
                record = _Record(identity=identity, target=real, source=source, root=root)
                if source:
                    mount = _overlay(source, path, own, wanted.attributes)
                else:
                    mount = kernel.bind(shown, wanted.attributes)
                with _closing(mount):
                    write_file(own, _RECORD, _encode(record), 0o600)
                    kernel.attach(mount, directory)
        except BaseException:
            self._remove_dead([identity])
            raise

    def unmount(self, target: str) -> None:
        """Take away what is mounted there, and what it took.

        Raises AtomicSysError where it is not ours or still in use, Busy, OSError.
        """
        real = os.path.realpath(target, strict=True)
        with self._locked():
            top = [mount for mount in kernel.mounts() if mount.target == real][-1:]
            found = [
                identity
                for identity in self._identities()
                if (record := self._record(identity)) is not None
                and record.target == real
                and any(map(record.is_of, top))
            ]
            if not found:
                what = "is no mount of atomic" if top else "is not mounted"
                raise AtomicSysError(f"{target} {what}", hint="findmnt shows what is mounted")
            try:
                kernel.detach(real)
            except OSError as error:
                if error.errno != errno.EBUSY:
                    raise
                raise AtomicSysError(
                    f"{target} is in use", hint=f"fuser -vm {target} shows by whom"
                ) from None
            self._remove_dead(found[:1])

    def clean(self) -> int:
        """Remove what mounts that are gone have left; how many there were. Raises Busy, OSError."""
        with self._locked():
            return self._clean()

    def _clean(self) -> int:
        return self._remove_dead(self._identities())

    def _remove_dead(self, identities: Iterable[str]) -> int:
        """Remove those without a mount in any namespace."""
        suspects = list(identities)
        alive = list(kernel.all_mounts()) if suspects else []
        removed = 0
        for identity in suspects:
            record = self._record(identity)
            if record is None or not any(map(record.is_of, alive)):
                remove_tree(self._fd, identity)
                removed += 1
        return removed

    def _identities(self) -> list[str]:
        with os.scandir(self._fd) as entries:
            return sorted(e.name for e in entries if e.is_dir(follow_symlinks=False))

    def _record(self, identity: str) -> _Record | None:
        """The record; None where there is none that can be read: then nothing was mounted yet."""
        with opened(self._fd, identity) as own:
            document = read_file(own, _RECORD, _LIMIT)
        try:
            return None if document is None else _decode(identity, document)
        except InvalidJson:
            return None

    def _locked(self) -> contextlib.AbstractContextManager[None]:
        timeout = self._timeout
        return locked(
            self._fd, ".lock", LockKind.EXCLUSIVE, timeout=timeout, what="the list of mounts"
        )


@contextlib.contextmanager
def _closing(fd: int) -> Iterator[int]:
    try:
        yield fd
    finally:
        os.close(fd)


def _path(fd: int) -> str:
    return os.readlink(f"/proc/self/fd/{fd}")


def _overlay(source: str, lower: str, own: int, attributes: MountAttribute) -> int:
    """An overlay whose top directory is like the one below. Raises AtomicSysError, OSError."""
    here = _path(own)
    for path in (lower, here):
        if any(character in path for character in _UNFIT):
            raise AtomicSysError(f"{path}: an overlay can have no path with one of {_UNFIT}")
    info = os.stat(lower)
    for name in (_UPPER, _WORK):
        os.mkdir(name, 0o700, dir_fd=own)
    with opened(own, _UPPER) as upper:
        os.fchown(upper, info.st_uid, info.st_gid)
        os.fchmod(upper, stat.S_IMODE(info.st_mode))
    try:
        return kernel.overlay(source, lower, f"{here}/{_UPPER}", f"{here}/{_WORK}", attributes)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        raise AtomicSysError(f"the file system of {here} cannot hold an overlay") from error


def _encode(record: _Record) -> bytes:
    body = {"target": record.target, "source": record.source, "root": record.root}
    return json.dumps(body).encode()


def _decode(identity: str, document: bytes) -> _Record:
    body = as_object(loads(document, _RECORD), _RECORD)
    words = {key: as_string(body.get(key), key) for key in ("target", "source", "root")}
    if not words["source"] and not words["root"]:
        raise InvalidJson(f"{_RECORD}: neither source nor root")
    return _Record(identity=identity, **words)
