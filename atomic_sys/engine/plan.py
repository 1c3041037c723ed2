# SPDX-License-Identifier: LGPL-2.1-or-later
"""From what is there and what is wanted to the operations in between. Pure.

Everything before the link's swap can be repeated; the unit and its tmpfiles come right before it,
since systemd reads them only when it is told to.
"""

from collections.abc import Callable, Iterable
from typing import TypeAlias

from atomic_sys.engine import kept_files
from atomic_sys.engine.declared import RemoveState
from atomic_sys.engine.host_files import HostFilePlan, missing_parents
from atomic_sys.engine.observe import DROP_IN_NAME, ROOTFS, Installed, NameState
from atomic_sys.engine.operations import (
    CheckOut,
    CreateTmpfiles,
    Disable,
    Enable,
    MakeDirectory,
    Operation,
    Plan,
    Protect,
    Reload,
    RemoveEmptyDirectory,
    RemoveFile,
    RemoveTmpfiles,
    RemoveTree,
    Start,
    Stop,
    SwapLink,
    SyncFileSystem,
    WriteFile,
)
from atomic_sys.engine.rendered_files import CONFIG_NAME, RenderedFile, rendered_files
from atomic_sys.engine.undo import Removal
from atomic_sys.frozen import frozen
from atomic_sys.model.container_state import STATE_DIRECTORY
from atomic_sys.model.names import ContainerName
from atomic_sys.model.record import RECORD_NAME, Record
from atomic_sys.paths import Paths
from atomic_sys.render.render import Rendered
from atomic_sys.render.tmpfiles import created_paths

Before: TypeAlias = Callable[[str], bytes]


def _nothing(_name: str) -> bytes:
    return b""


@frozen
class Wanted:
    """A deployment that is to be installed; `rootfs` is the path of its files elsewhere."""

    name: ContainerName
    number: int
    image: str
    rendered: Rendered
    host_files: HostFilePlan
    record: Record
    enable: bool = True
    start: bool = False
    drop_in: str | None = None
    rootfs: str | None = None


def deployment_path(paths: Paths, name: ContainerName, number: int) -> str:
    """`CHECKOUTS/NAME.N`, as seen from inside the root."""
    return f"{paths.checkouts}/{name}.{number}"


def plan_install(wanted: Wanted, paths: Paths, is_free: Callable[[str], bool]) -> Plan:
    """The operations that install a container under a name that is free."""
    name, rendered = wanted.name, wanted.rendered
    path = deployment_path(paths, name, wanted.number)
    operations: list[Operation] = [*fill_deployment(wanted, paths), *wanted.host_files.operations]
    operations += [
        WriteFile(directory=place.rpartition("/")[0], name=place.rpartition("/")[2], content=text)
        for place, text in _texts(wanted, paths)
    ]
    if wanted.drop_in is not None and rendered.unit is not None:
        directory = f"{paths.units}/{name.unit}.d"
        operations.append(
            WriteFile(directory=directory, name=DROP_IN_NAME, content=wanted.drop_in.encode())
        )
    operations.append(SwapLink(directory=paths.checkouts, name=name.value, target=path))
    return (*operations, *_activation(wanted, paths, is_free))


def fill_deployment(wanted: Wanted, paths: Paths, before: Before = _nothing) -> Plan:
    """The operations that make a new deployment, whole and on the disk, which nobody uses yet.

    `before` gives the content of a file of the deployment that it follows, for --dry-run.
    """
    name, rendered = wanted.name, wanted.rendered
    path = deployment_path(paths, name, wanted.number)
    files = rendered_files(rendered)
    operations: list[Operation] = [
        MakeDirectory(directory=paths.checkouts, name=f"{name}.{wanted.number}")
    ]
    if wanted.rootfs is not None:
        operations.append(SwapLink(directory=path, name=ROOTFS, target=wanted.rootfs))
    elif rendered.unit is not None:
        operations.append(CheckOut(image=wanted.image, commit=wanted.record.commit, directory=path))
    mode = files[CONFIG_NAME].mode  # the values are in the record too
    files[RECORD_NAME] = RenderedFile(content=wanted.record.to_json(), mode=mode)
    operations += kept_files.keep(wanted.host_files.items, path)
    operations += [
        WriteFile(directory=path, name=own, content=f.content, mode=f.mode, before=before(own))
        for own, f in files.items()
    ]
    return (*operations, SyncFileSystem(directory=path))


def _texts(wanted: Wanted, paths: Paths) -> list[tuple[str, bytes]]:
    """Path on the host and content of the unit and the tmpfiles."""
    name, rendered = wanted.name, wanted.rendered
    texts = []
    if rendered.unit is not None:
        texts.append((f"{paths.units}/{name.unit}", rendered.unit.encode()))
    if rendered.tmpfiles is not None:
        texts.append((f"{paths.tmpfiles}/{name.tmpfiles}", rendered.tmpfiles.encode()))
    return texts


def _activation(wanted: Wanted, paths: Paths, is_free: Callable[[str], bool]) -> list[Operation]:
    name, rendered = wanted.name, wanted.rendered
    operations: list[Operation] = []
    if rendered.unit is not None:
        if wanted.enable:
            operations.append(Enable(unit=name.unit))
        operations.append(Reload())  # after enabling: the links are dependencies of other units
    if rendered.tmpfiles is not None:
        operations.append(
            CreateTmpfiles(
                path=f"{paths.tmpfiles}/{name.tmpfiles}",
                missing=made_by_tmpfiles(rendered.tmpfiles, is_free),
            )
        )
    if rendered.unit is not None and wanted.rootfs is None:  # when what it mounts is there
        operations.append(Protect(directory=deployment_path(paths, name, wanted.number)))
    if rendered.unit is not None and wanted.start:
        runtime = wanted.record.runtime
        operations.append(Start(unit=name.unit, container=name.value, runtime=runtime))
    return operations


def made_by_tmpfiles(text: str, is_free: Callable[[str], bool]) -> tuple[str, ...]:
    """The paths that the lines will make, parents included, the outermost first."""
    paths = [path for path in created_paths(text) if not set(path) & set("*?[")]
    return missing_parents([f"{path}/" for path in sorted(paths)], is_free)


def plan_uninstall(
    installed: Installed,
    state: NameState,
    paths: Paths,
    purged: Iterable[RemoveState] = (),
    running: tuple[str, ...] = (),
) -> tuple[Removal, ...]:
    """The operations that remove a container, and of what it has left only what is `purged`.

    `running` are the units that its stop stops. The link goes last: until then the container is
    found, and it can be tried again.
    """
    name = installed.name
    record = installed.record
    host_files = {} if record is None else record.host_files
    directories = () if record is None else record.host_directories
    operations: list[Removal] = []
    if record is None or record.has_service:
        runtime = paths.runtime if record is None else record.runtime
        operations += [
            Stop(unit=name.unit, container=name.value, runtime=runtime, again=running),
            Disable(unit=name.unit),
            RemoveFile(path=f"{paths.units}/{name.unit}"),
        ]
        if state.drop_in_exists:
            operations += [
                RemoveFile(path=f"{paths.units}/{name.unit}.d/{DROP_IN_NAME}"),
                RemoveEmptyDirectory(path=f"{paths.units}/{name.unit}.d"),
            ]
        operations.append(Reload())
    if state.tmpfiles_exist:
        tmpfiles = f"{paths.tmpfiles}/{name.tmpfiles}"
        operations += [RemoveTmpfiles(path=tmpfiles), RemoveFile(path=tmpfiles)]
    operations += [
        *purged,
        *(RemoveFile(path=path, sha256=checksum) for path, checksum in host_files.items()),
        *(RemoveEmptyDirectory(path=path) for path in reversed(directories)),
        *(RemoveTree(directory=paths.checkouts, name=f"{name}.{n}") for n in state.deployments),
        RemoveFile(path=f"{paths.checkouts}/{STATE_DIRECTORY}/{name}.json"),
        RemoveFile(path=f"{paths.checkouts}/{name}"),
    ]
    return tuple(operations)
