# SPDX-License-Identifier: LGPL-2.1-or-later
"""What is on the host now: reads only, and one broken container never hides the others.

The layout is the predecessor's: `CHECKOUTS/NAME -> CHECKOUTS/NAME.N`, and the deployment in NAME.N.
"""

import contextlib
import os
import re
import stat
from collections.abc import Iterator
from typing import NamedTuple

from atomic_sys.errors import AtomicSysError, NotFound
from atomic_sys.frozen import frozen
from atomic_sys.fs.atomic import read_file
from atomic_sys.fs.directory import exists, open_directory, read_link
from atomic_sys.model.container_state import STATE_DIRECTORY, STATE_LIMIT, ContainerState
from atomic_sys.model.names import ContainerName
from atomic_sys.model.record import RECORD_LIMIT, RECORD_NAME, Record
from atomic_sys.model.strict_json import InvalidJson
from atomic_sys.paths import Paths

_DEPLOYMENT = re.compile(r"(?P<name>.+)\.(?P<number>0|[1-9][0-9]{0,8})")
DROP_IN_NAME = "50-atomic-sys.conf"  # in NAME.service.d, what --after and its kin ask for
ROOTFS = "rootfs"  # in a deployment: the directory of its files, or a link to one elsewhere
_CONFIG_LIMIT = 4 << 20  # bytes


@frozen
class Installed:
    """A container of this host.

    `deployment` is the path of the current one as seen from inside the root. `record` is None where
    the `info` file is missing or broken; `problem` then says how.
    """

    name: ContainerName
    deployment: str
    preinstalled: bool
    record: Record | None
    problem: str | None = None


@frozen
class NameState:
    """What occupies a name: the facts that an installation depends on."""

    name: ContainerName
    installed: Installed | None
    deployments: tuple[int, ...]  # numbers of NAME.N, also of those that nothing points to
    taken: tuple[int, ...]  # those, and the N of another container that is called NAME.N
    unit_exists: bool
    vendor_unit_exists: bool
    tmpfiles_exist: bool
    drop_in_exists: bool

    @property
    def free_number(self) -> int:
        """The lowest number that nothing has."""
        return next(n for n in range(len(self.taken) + 1) if n not in self.taken)


class _Place(NamedTuple):
    """A container's name, and the path of its deployment as seen from inside the root."""

    name: ContainerName
    path: str
    preinstalled: bool


@contextlib.contextmanager
def _directory(root: int, path: str) -> Iterator[int | None]:
    try:
        fd = open_directory(root, path)
    except (FileNotFoundError, NotADirectoryError):
        yield None
        return
    try:
        yield fd
    finally:
        os.close(fd)


def exists_in(root: int, directory: str, name: str) -> bool:
    """Whether the directory, as seen from inside the root, has anything of this name."""
    with _directory(root, directory) as fd:
        return fd is not None and exists(fd, name)


def observe(root: int, paths: Paths, name: ContainerName) -> NameState:
    """Everything that an operation on this name needs to know. Raises OSError."""
    with _directory(root, paths.checkouts) as fd:
        numbers = {} if fd is None else _numbers(fd, name)
    return NameState(
        name=name,
        installed=find(root, paths, name),
        deployments=tuple(number for number, kind in numbers.items() if kind),
        taken=tuple(numbers),
        unit_exists=exists_in(root, paths.units, name.unit),
        vendor_unit_exists=exists_in(root, paths.vendor_units, name.unit),
        tmpfiles_exist=exists_in(root, paths.tmpfiles, name.tmpfiles),
        drop_in_exists=exists_in(root, f"{paths.units}/{name.unit}.d", DROP_IN_NAME),
    )


def _numbers(checkouts: int, name: ContainerName) -> dict[int, bool]:
    """The N of every NAME.N in their order, and whether it is a directory.

    The link NAME.N is the container of that name, and no deployment of ours.
    """
    matches = (_DEPLOYMENT.fullmatch(found) for found in os.listdir(checkouts))
    ours = [match for match in matches if match and match["name"] == name.value]
    found = {int(match["number"]): _is_directory(checkouts, match[0]) for match in ours}
    return dict(sorted(found.items()))


def find(root: int, paths: Paths, name: ContainerName) -> Installed | None:
    """The container of this name, if it is installed. Raises OSError."""
    with _directory(root, paths.checkouts) as fd:
        target = None if fd is None else read_link(fd, name.value)
    if target is None and not exists_in(root, paths.preinstalled, name.value):
        return None
    return _read(root, _place(paths, name, target))


def require(root: int, paths: Paths, name: ContainerName) -> Installed:
    """The container of this name. Raises NotFound, or OSError."""
    found = find(root, paths, name)
    if found is None:
        raise NotFound(
            f"Unable to find the container {name}",
            hint="atomic containers list --all shows what is installed",
        )
    return found


def installed(root: int, paths: Paths) -> tuple[Installed, ...]:
    """All containers of the host, sorted by name. Raises OSError."""
    return tuple(_read(root, place) for place in _places(root, paths))


def installed_with(root: int, paths: Paths, file: str) -> tuple[tuple[Installed, bytes], ...]:
    """The same, each with a file of its deployment, which is empty where it cannot be read."""
    return tuple(_look(root, place, file) for place in _places(root, paths))


def _places(root: int, paths: Paths) -> list[_Place]:
    """Where the containers of the host are, sorted by name."""
    links = _links(root, paths.checkouts)
    with _directory(root, paths.preinstalled) as fd:
        listed = () if fd is None else os.listdir(fd)
        names = {name for name in listed if fd is not None and _is_directory(fd, name)}
    found = []
    for text in sorted(names | links.keys()):
        with contextlib.suppress(AtomicSysError):  # a name that no container can have is not ours
            found.append(_place(paths, ContainerName.parse(text), links.get(text)))
    return found


def _links(root: int, path: str) -> dict[str, str]:
    """The symbolic links in a directory, and where they lead; none where it is missing."""
    with _directory(root, path) as fd:
        if fd is None:
            return {}
        with os.scandir(fd) as entries:
            names = [entry.name for entry in entries if entry.is_symlink()]
        found = ((name, read_link(fd, name)) for name in names)
        return {name: target for name, target in found if target is not None}


def _place(paths: Paths, name: ContainerName, target: str | None) -> _Place:
    """Where the link leads to; a container without one came with the distribution."""
    if target is not None:
        return _Place(name, os.path.join(paths.checkouts, target), preinstalled=False)
    return _Place(name, f"{paths.preinstalled}/{name}", preinstalled=True)


def _is_directory(fd: int, name: str) -> bool:
    try:
        info = os.stat(name, dir_fd=fd, follow_symlinks=False)
    except FileNotFoundError:  # since it was listed
        return False
    return stat.S_ISDIR(info.st_mode)


def _read(root: int, place: _Place) -> Installed:
    found, _ = _look(root, place)
    return found


def _look(root: int, place: _Place, file: str | None = None) -> tuple[Installed, bytes]:
    """The container, and this file of its deployment."""
    record, problem, content = None, None, b""
    try:
        with _directory(root, place.path) as fd:
            document = None if fd is None else read_file(fd, RECORD_NAME, RECORD_LIMIT)
            if fd is not None and file is not None:
                with contextlib.suppress(OSError):
                    content = read_file(fd, file, _CONFIG_LIMIT) or b""
        if document is None:
            problem = f"{place.path}/{RECORD_NAME} is missing"
        else:
            record = Record.from_json(document, f"{place.path}/{RECORD_NAME}")
    except (AtomicSysError, OSError) as error:
        problem = str(error)
    found = Installed(
        name=place.name,
        deployment=place.path,
        preinstalled=place.preinstalled,
        record=record,
        problem=problem,
    )
    return found, content


def deployed_names(root: int, paths: Paths) -> tuple[ContainerName, ...]:
    """The names that have a deployment NAME.N, installed or not, sorted. Raises OSError."""
    found: dict[ContainerName, None] = {}
    with _directory(root, paths.checkouts) as fd:
        for text in () if fd is None else sorted(os.listdir(fd)):
            match = _DEPLOYMENT.fullmatch(text)
            if match is not None and fd is not None and _is_directory(fd, text):
                with contextlib.suppress(AtomicSysError):
                    found[ContainerName.parse(match["name"])] = None
    return tuple(found)


def read_deployment_file(
    root: int, deployment: str, name: str, limit: int = _CONFIG_LIMIT
) -> bytes | None:
    """A file of a deployment, None when there is none. Raises OSError."""
    with _directory(root, deployment) as fd:
        return None if fd is None else read_file(fd, name, limit)


def rootfs_path(root: int, container: Installed) -> str:
    """Where the files of a deployment are, as seen from inside the root: maybe elsewhere.

    Raises OSError.
    """
    with _directory(root, container.deployment) as fd:
        target = None if fd is None else read_link(fd, ROOTFS)
    return os.path.join(container.deployment, target or ROOTFS)


def is_free(root: int, path: str) -> bool:
    """Whether nothing is at this path, as seen from inside the root. Raises OSError."""
    directory, _, name = path.rpartition("/")
    return not exists_in(root, directory or ".", name)


def number_of(installed: Installed) -> int | None:
    """The N of the deployment NAME.N that the name leads to; None where it is called otherwise."""
    match = _DEPLOYMENT.fullmatch(installed.deployment.rpartition("/")[2])
    ours = match is not None and match["name"] == installed.name.value
    return int(match["number"]) if match is not None and ours else None


def read_deployment(root: int, paths: Paths, name: ContainerName, number: int) -> Installed:
    """A deployment of the container that may not be the current one. Raises OSError."""
    return _read(root, _Place(name, f"{paths.checkouts}/{name}.{number}", preinstalled=False))


def all_deployments(root: int, paths: Paths, container: Installed) -> tuple[Installed, ...]:
    """The current deployment and the others that are kept. Raises OSError."""
    with _directory(root, paths.checkouts) as fd:
        numbers = {} if fd is None else _numbers(fd, container.name)
    others = (
        read_deployment(root, paths, container.name, n) for n, kind in numbers.items() if kind
    )
    return (container, *(one for one in others if one.deployment != container.deployment))


def names_with_state(root: int, paths: Paths) -> frozenset[str]:
    """The containers about which anything was decided. Raises OSError."""
    with _directory(root, f"{paths.checkouts}/{STATE_DIRECTORY}") as fd:
        files = [] if fd is None else os.listdir(fd)
    return frozenset(name.removesuffix(".json") for name in files)


def read_state(root: int, paths: Paths, name: ContainerName) -> ContainerState:
    """What was decided about the container. Raises InvalidJson, OSError."""
    directory, file = f"{paths.checkouts}/{STATE_DIRECTORY}", f"{name}.json"
    with _directory(root, directory) as fd:
        document = None if fd is None else read_file(fd, file, STATE_LIMIT)
    if document is None:
        return ContainerState()
    try:
        return ContainerState.from_json(document, f"{directory}/{file}")
    except InvalidJson as error:
        error.hint = f"without that file {name} is not held, and no image has failed: remove it"
        raise
