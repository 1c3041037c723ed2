# SPDX-License-Identifier: LGPL-2.1-or-later
"""Deployments that the predecessor made: what its record does not say is found in their files.

It kept neither which values the user had chosen nor copies of the host files. Source: the
predecessor's layout on disk and image contract (`info`, "precedence at install").
"""

import contextlib
import os
import stat
from collections.abc import Iterator, Mapping

from atomic_sys.engine.host_files import FILE_LIMIT
from atomic_sys.engine.observe import Installed
from atomic_sys.engine.operations import InstallHostFile
from atomic_sys.errors import AtomicSysError
from atomic_sys.fs.atomic import read_file
from atomic_sys.fs.directory import open_directory
from atomic_sys.model.record import Record
from atomic_sys.render import hostfiles
from atomic_sys.render.exports import LIMITS
from atomic_sys.render.host_facts import HostFacts
from atomic_sys.render.hostfiles import EntryKind, HostEntry, HostFile
from atomic_sys.render.settings import Settings, parse
from atomic_sys.render.values import FORCED

_ROOTFS, _MANIFEST = "rootfs", "manifest.json"
# What it computed for each host anew: a value of these says nothing of what the user wants.
_OF_THE_HOST = FORCED | {"UUID", "ALL_PROCESS_CAPABILITIES", "RUNTIME", "ATOMIC"}


def chosen_values(deployment: Installed, record: Record, root: int) -> dict[str, str]:
    """The values that the user has set.

    The predecessor did not write that down: there it is those that are no default of host or image.
    Raises InvalidSettings, OSError.
    """
    if not record.from_predecessor:
        return dict(record.user_values)
    defaults: dict[str, str] = {}
    with contextlib.suppress(FileNotFoundError), _rootfs(root, deployment) as fd:
        # Those that have no service have no root file system either.
        defaults = _settings(fd, record.image).all_defaults()
    name, values = deployment.name.value, record.values
    defaults |= HostFacts().computed_values(name, record.runtime, values)
    return {
        key: value
        for key, value in values.items()
        if key not in _OF_THE_HOST and value != defaults.get(key)
    }


def host_items(deployment: Installed, record: Record, root: int) -> tuple[InstallHostFile, ...]:
    """The host files of a deployment, from its root file system and with its own values.

    Raises AtomicSysError for what is no file any more or cannot be rendered, OSError.
    """
    with _rootfs(root, deployment) as fd:
        settings = _settings(fd, record.image)
        hostfs = _open(fd, "exports/hostfs")
        if hostfs is None:
            return ()
        try:
            planned = hostfiles.plan(_entries(hostfs), settings, record.values)
            return tuple(_item(hostfs, file, record.values) for file in planned.files)
        finally:
            os.close(hostfs)


@contextlib.contextmanager
def _rootfs(root: int, deployment: Installed) -> Iterator[int]:
    fd = open_directory(root, f"{deployment.deployment}/{_ROOTFS}")
    try:
        yield fd
    finally:
        os.close(fd)


def _open(rootfs: int, path: str) -> int | None:
    """A directory of the image, its links resolved inside the image."""
    try:
        return open_directory(rootfs, path)
    except (FileNotFoundError, NotADirectoryError):
        return None


def _settings(rootfs: int, image: str) -> Settings:
    exports = _open(rootfs, "exports")
    if exports is None:
        return Settings()
    try:
        document = read_file(exports, _MANIFEST, LIMITS[_MANIFEST])
    finally:
        os.close(exports)
    return Settings() if document is None else parse(document, image)


def _entries(hostfs: int) -> Iterator[HostEntry]:
    for where, directories, files, fd in os.fwalk(".", dir_fd=hostfs):
        above = tuple(part for part in where.split("/") if part != ".")
        for name in (*directories, *files):
            mode = os.stat(name, dir_fd=fd, follow_symlinks=False).st_mode
            if stat.S_ISDIR(mode):
                kind = EntryKind.DIRECTORY
            else:
                kind = EntryKind.SYMLINK if stat.S_ISLNK(mode) else EntryKind.FILE
            yield HostEntry((*above, name), kind)


def _item(hostfs: int, file: HostFile, values: Mapping[str, str]) -> InstallHostFile:
    *above, name = file.source
    fd = open_directory(hostfs, "/".join(above) or ".")
    try:
        if file.kind is EntryKind.SYMLINK:
            return InstallHostFile(path=file.destination, target=os.readlink(name, dir_fd=fd))
        content = read_file(fd, name, FILE_LIMIT)
        mode = stat.S_IMODE(os.stat(name, dir_fd=fd, follow_symlinks=False).st_mode)
    finally:
        os.close(fd)
    if content is None:
        raise AtomicSysError(f"the host file {file.destination} is not in the image any more")
    if file.templated:
        content = hostfiles.render(file.destination, content, values)
    return InstallHostFile(path=file.destination, content=content, mode=mode)
