# SPDX-License-Identifier: LGPL-2.1-or-later
"""The files that an image puts onto the host: where each one of /exports/hostfs goes.

Nothing is copied here. Source: the predecessor's contract (hostfs/, `renameFiles`,
`installedFilesTemplate`).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum

from atomic_sys.errors import AtomicSysError
from atomic_sys.frozen import frozen
from atomic_sys.model.layer import LayerPath
from atomic_sys.render import typed
from atomic_sys.render.settings import Settings
from atomic_sys.render.template import decode, substitute


class InvalidHostFile(AtomicSysError):
    """An image wants to put a file where none can go."""


class EntryKind(Enum):
    """What is in hostfs."""

    FILE = "file"
    SYMLINK = "symlink"
    DIRECTORY = "directory"


@dataclass(frozen=True, slots=True)
class HostEntry:
    """One entry of the image's /exports/hostfs; the path is relative to it."""

    path: LayerPath
    kind: EntryKind


@frozen
class HostFile:
    """A file or link for the host; the content of a templated one is to be rendered first."""

    source: LayerPath
    destination: str
    kind: EntryKind
    templated: bool


@frozen
class HostFiles:
    """Everything for the host; `directories` are those that stand for themselves, being empty."""

    files: tuple[HostFile, ...] = ()
    directories: tuple[str, ...] = ()
    use_links: bool = True


def plan(entries: Iterable[HostEntry], settings: Settings, values: Mapping[str, str]) -> HostFiles:
    """Where the entries go, with the values in `renameFiles` filled in.

    Raises UnreplacedValue for a value that `renameFiles` wants and nobody has, and
    InvalidHostFile for a destination that is not absolute, goes up, or is taken twice.
    """
    renames = {
        old: substitute("manifest.json", new, values) for old, new in settings.rename_files.items()
    }
    ordered = sorted(entries, key=lambda entry: entry.path)
    parents = {entry.path[:-1] for entry in ordered}
    files: dict[str, HostFile] = {}
    directories: list[str] = []
    for entry in ordered:
        destination = _destination(entry.path, renames)
        if entry.kind is EntryKind.DIRECTORY:
            if entry.path not in parents:
                directories.append(destination)
            continue
        if destination in files:
            other = "/".join(files[destination].source)
            raise InvalidHostFile(f"both /{other} and /{'/'.join(entry.path)} go to {destination}")
        files[destination] = HostFile(
            source=entry.path,
            destination=destination,
            kind=entry.kind,
            templated=entry.kind is EntryKind.FILE
            and destination in settings.installed_files_template,
        )
    return HostFiles(
        files=tuple(files.values()),
        directories=tuple(dict.fromkeys(directories)),
        use_links=settings.use_links,
    )


def render(destination: str, content: bytes, values: Mapping[str, str]) -> bytes:
    """The content of a templated host file, in the legacy syntax. Raises TemplateError."""
    return substitute(destination, decode(destination, content), values).encode()


def _destination(path: LayerPath, renames: Mapping[str, str]) -> str:
    """The path on the host, renamed after each component, so that directories can be renamed."""
    current = ""
    for part in path:
        current = f"{current}/{part}"
        current = renames.get(current, current)
    try:
        destination = typed.checked_path(current)
    except ValueError as error:
        raise InvalidHostFile(f"host file /{'/'.join(path)}: {error}") from None
    if destination == "/":
        raise InvalidHostFile(f"host file /{'/'.join(path)}: there is no name for it")
    return destination
