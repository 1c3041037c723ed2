# SPDX-License-Identifier: LGPL-2.1-or-later
"""From the host files of one deployment to those of another; what somebody changed stays.

A changed file is kept, and where the new default differs from the old one it is laid beside it as
`FILE.atomic-new`, as dpkg and rpm do with configuration.
"""

from collections.abc import Callable, Sequence

from atomic_sys import log
from atomic_sys.engine.host_files import (
    HostFilePlan,
    HostOperation,
    missing_parents,
    owned_by,
    refuse_owned,
    wanted_checksum,
)
from atomic_sys.engine.observe import Installed
from atomic_sys.engine.operations import (
    InstallHostFile,
    MakeHostDirectory,
    RemoveFile,
    ReplaceFile,
)
from atomic_sys.frozen import frozen
from atomic_sys.model.record import Record

NEW_SUFFIX = ".atomic-new"


@frozen
class HostLook:
    """How files of the host are looked at: `checksum` is None where nothing is."""

    checksum: Callable[[str], str | None]
    read: Callable[[str], bytes]


def plan_host_changes(
    items: Sequence[InstallHostFile],
    directories: Sequence[str],
    old: Record,
    others: Sequence[Installed],
    look: HostLook,
) -> HostFilePlan:
    """What makes these items of what the old record says is there.

    Raises HostFileConflict for one that another container installed.
    """
    owners = owned_by(others)
    operations: list[HostOperation] = []
    checksums: dict[str, str] = {}
    for item in items:
        refuse_owned(item.path, owners)
        steps, known = _change(item, old, look)
        operations += steps
        checksums |= known
    operations += [
        RemoveFile(path=path, sha256=checksum)
        for path, checksum in old.host_files.items()
        if path not in checksums
    ]
    wanted = [path for path in directories if look.checksum(path) is None]
    operations += [MakeHostDirectory(path=path) for path in wanted]
    made = missing_parents(
        [*checksums, *(f"{path}/" for path in wanted)], lambda path: look.checksum(path) is None
    )
    return HostFilePlan(
        operations=tuple(operations),
        items=tuple(items),
        checksums=checksums,
        directories=tuple(dict.fromkeys((*old.host_directories, *made))),
    )


def _change(
    item: InstallHostFile, old: Record, look: HostLook
) -> tuple[list[HostOperation], dict[str, str]]:
    """The steps for one file, and the checksums that the record is to have afterwards."""
    path, wanted = item.path, wanted_checksum(item)
    there, before = look.checksum(path), old.host_files.get(path)
    known = {path: wanted}
    if there is None:
        return [item], known
    if before is None:
        log.warn(f"File {path} already exists")
        return [], {}
    if there == before:
        same = there == wanted and item.content is not None
        return ([] if same else [_replace(item, path, look)]), known
    if wanted in (there, before) or item.content is None:
        return [], known
    log.warn(f"{path} was changed and stays; the new default is {path}{NEW_SUFFIX}")
    beside = _replace(item, path + NEW_SUFFIX, look)
    return [beside], known | {beside.path: wanted}


def _replace(item: InstallHostFile, path: str, look: HostLook) -> ReplaceFile:
    return ReplaceFile(
        path=path,
        content=item.content,
        target=item.target,
        mode=item.mode,
        before=b"" if item.content is None else look.read(path),
    )
