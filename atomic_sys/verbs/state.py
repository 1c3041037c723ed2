# SPDX-License-Identifier: LGPL-2.1-or-later
"""`atomic containers hold` and `unhold`, and whatever else is decided about a container."""

import os
from collections.abc import Callable
from dataclasses import replace

from atomic_sys import log
from atomic_sys.engine.observe import read_state, require
from atomic_sys.engine.rendered_files import SECRET_MODE
from atomic_sys.engine.report import Report
from atomic_sys.errors import reason_of
from atomic_sys.fs.atomic import write_file
from atomic_sys.fs.directory import make_directories
from atomic_sys.host import Host
from atomic_sys.model.container_state import STATE_DIRECTORY, ContainerState
from atomic_sys.model.names import ContainerName
from atomic_sys.verbs.support import claimed


def save_state(
    name: ContainerName, change: Callable[[ContainerState], ContainerState], host: Host
) -> bool:
    """Change the state of a container whose lock is held; whether there was anything to change.

    Raises InvalidJson, OSError.
    """
    before = read_state(host.root, host.paths, name)
    after = change(before)
    if after == before:
        return False
    directory = make_directories(host.root, f"{host.paths.checkouts}/{STATE_DIRECTORY}")
    try:
        write_file(directory, f"{name}.json", after.to_json(), SECRET_MODE)
    finally:
        os.close(directory)
    return True


def remember_bad(name: ContainerName, digest: str, host: Host) -> None:
    """Let --all pass over this image; one that cannot be remembered is warned of."""
    try:
        save_state(name, lambda state: replace(state, bad=digest), host)
    except OSError as error:
        log.warn(f"--all will try {digest} again: {reason_of(error)}")


def set_held(name: ContainerName, host: Host, report: Report, *, held: bool) -> bool:
    """Hold the container as it is, or let it be updated again; whether that is new.

    Raises NotFound, Busy.
    """
    with claimed(host, name, report):
        require(host.root, host.paths, name)
        return save_state(name, lambda state: replace(state, held=held), host)
