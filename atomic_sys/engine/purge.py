# SPDX-License-Identifier: LGPL-2.1-or-later
"""The state of a container that goes with it, as far as its image declares it and nothing forbids.

state_rules.py judges names; what is on the disk is looked at here, when it is shown and once more
when it is removed: a link is not followed, and what is mounted there stays.
"""

import contextlib
import errno
import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import replace

from atomic_sys.engine.declared import RemoveState
from atomic_sys.engine.observe import Installed, all_deployments, read_deployment_file
from atomic_sys.engine.state_rules import Facts, Owned, StatePath, judge
from atomic_sys.errors import AtomicSysError
from atomic_sys.fs.directory import open_directory, opened
from atomic_sys.fs.mount import mounts
from atomic_sys.model.record import Record
from atomic_sys.paths import SHARED_REPOSITORY, Paths
from atomic_sys.render import config


def declared_state(
    container: Installed, others: Iterable[Installed], root: int, paths: Paths
) -> tuple[StatePath, ...]:
    """All that the container's deployments declare, judged by name and by what is there.

    Raises OSError.
    """
    own = _owned(container, root, paths)
    facts = Facts(
        chosen=None if container.record is None else _chosen(container.record),
        ours=(paths.checkouts, paths.repository or SHARED_REPOSITORY),
        mounted=own.mounted,
        others=tuple(_owned(other, root, paths) for other in others),
    )
    return tuple(_seen(judge(path, facts), root) for path in own.state)


def _chosen(record: Record) -> str | None:
    return record.user_values.get("STATE_DIRECTORY")


def _owned(container: Installed, root: int, paths: Paths) -> Owned:
    """What the deployments of a container declare and mount: a rollback leads to any of them."""
    state: dict[str, None] = {}
    mounted: dict[str, None] = {}
    for one in all_deployments(root, paths, container):
        state |= dict.fromkeys(() if one.record is None else one.record.state)
        mounted |= dict.fromkeys(_mounted(one, root))
    return Owned(owner=container.name.value, state=tuple(state), mounted=tuple(mounted))


def _mounted(deployment: Installed, root: int) -> tuple[str, ...]:
    """The sources of its bind mounts; a config.json that is broken mounts nothing."""
    document = read_deployment_file(root, deployment.deployment, "config.json")
    try:
        return () if document is None else config.bind_sources(document, "config.json")
    except AtomicSysError:
        return ()


def _seen(state: StatePath, root: int) -> StatePath:
    """The path as it is on the disk."""
    if state.kept is not None:
        return state
    with opened_state(root, state.removal()) as found:
        return replace(state, kept=found) if isinstance(found, str) else state


@contextlib.contextmanager
def opened_state(root: int, state: RemoveState) -> Iterator[tuple[int, str] | str | None]:
    """The directory that the path is in, and its name there; else why it must stay.

    None where nothing is there. The base may be a link, what is below it may not. Raises OSError.
    """
    above, _, name = state.path.rpartition("/")
    with contextlib.ExitStack() as stack:
        try:
            fd = open_directory(root, state.base)
            stack.callback(os.close, fd)
            for part in filter(None, above.split("/")):
                fd = stack.enter_context(opened(fd, part))
            reason = _obstacle(fd, name)
        except FileNotFoundError:
            yield None
            return
        except OSError as error:
            if error.errno not in (errno.ENOTDIR, errno.ELOOP):
                raise
            yield "a part of its path is no directory"
            return
        yield (fd, name) if reason is None else reason


def _obstacle(parent: int, name: str) -> str | None:
    """Why what has this name must stay. Raises FileNotFoundError."""
    info = os.stat(name, dir_fd=parent, follow_symlinks=False)
    if stat.S_ISLNK(info.st_mode):
        return "it is a symbolic link"
    here = f"{os.readlink(f'/proc/self/fd/{parent}').rstrip('/')}/{name}"
    for mount in mounts():
        if mount.target == here or mount.target.startswith(f"{here}/"):
            return f"a file system is mounted at {mount.target}"
    return None
