# SPDX-License-Identifier: LGPL-2.1-or-later
"""`atomic run`, `stop`, `containers exec` and `logs`: a container as the service that it is."""

import os
import tempfile
from collections.abc import Sequence

from atomic_sys.engine.observe import Installed, read_deployment_file, require, rootfs_path
from atomic_sys.errors import AtomicSysError, doing
from atomic_sys.frozen import frozen
from atomic_sys.fs.process import run_attached
from atomic_sys.host import Host
from atomic_sys.model.names import ContainerName
from atomic_sys.render import config
from atomic_sys.render.config import Config, Root
from atomic_sys.verbs.support import START_TIMEOUT

_MADE_BELOW = ("/run/", "/var/run/")  # mount sources that a boot has removed


@frozen
class Execution:
    """A command for a container: how it is run there, as `runc exec` has it."""

    command: Sequence[str]
    terminal: bool = False
    detach: bool = False
    user: str | None = None
    directory: str | None = None
    environment: Sequence[str] = ()

    def options(self) -> list[str]:
        """The options of the runtime's `exec`."""
        options = ["--tty"] if self.terminal else []
        options += ["--detach"] if self.detach else []
        options += ["--user", self.user] if self.user is not None else []
        options += ["--cwd", self.directory] if self.directory is not None else []
        for pair in self.environment:
            options += ["--env", pair]
        return options


def start(name: ContainerName, host: Host) -> None:
    """Start the container's unit, and wait until it is active.

    Raises NotFound, StartFailed, SystemdError.
    """
    found = _service(name, host)
    with doing(f"starting {name}"):
        host.manager.start(found.name.unit, timeout=START_TIMEOUT)


def unit_of(name: ContainerName, host: Host) -> str:
    """The unit of an installed container. Raises NotFound, AtomicSysError where it has none."""
    return _service(name, host).name.unit


def stop(name: ContainerName, host: Host) -> None:
    """Stop the container's unit, and wait. Raises NotFound, StopFailed, SystemdError."""
    found = _service(name, host)
    with doing(f"stopping {name}"):
        host.manager.stop(found.name.unit, timeout=START_TIMEOUT)


def execute(name: ContainerName, execution: Execution, host: Host) -> int:
    """Run a command in the running container; returns its exit status.

    Raises NotFound, AtomicSysError when the container does not run.
    """
    found = _service(name, host)
    if not _is_running(found, host):
        raise AtomicSysError(
            f"the container {name} is not running", hint=f"systemctl start {name.unit}"
        )
    argv = [_runtime(found, host), "exec", *execution.options(), str(name), *execution.command]
    return run_attached(argv)


def run(name: ContainerName, execution: Execution, host: Host) -> int:
    """Run a command in the container as it is installed, also where its service does not run.

    Returns the command's exit status. Raises NotFound, AtomicSysError.
    """
    found = _service(name, host)
    if _is_running(found, host):
        return execute(name, execution, host)
    if execution.detach:
        raise AtomicSysError("Cannot use --detach with not running containers")
    document = read_deployment_file(host.root, found.deployment, "config.json")
    if document is None:
        raise AtomicSysError(f"{found.deployment}/config.json is missing")
    remote = found.record is not None and found.record.remote is not None
    rootfs = rootfs_path(host.root, found)
    own = config.with_command(
        config.check(document, "config.json", Root.ELSEWHERE if remote else Root.SHARED),
        host.paths.inside(rootfs),
        execution.command,
        terminal=execution.terminal,
    )
    make_sources(own)
    with tempfile.TemporaryDirectory(prefix=f"atomic-{name}.") as bundle:
        with open(os.path.join(bundle, "config.json"), "xb") as stream:
            stream.write(own.document)
        identity = f"{name}-run-{os.getpid()}"
        return run_attached([_runtime(found, host), "run", "--bundle", bundle, identity])


def make_sources(own: Config) -> None:
    """Make the directories to be mounted that a boot has removed. Raises OSError."""
    for source in own.bind_sources:
        if source.startswith(_MADE_BELOW) and not os.path.exists(source):
            os.makedirs(source, exist_ok=True)


def show_logs(name: ContainerName, options: Sequence[str], host: Host) -> int:
    """Show the journal of exactly this container's unit, with these options of journalctl(1).

    Returns its exit status. Raises NotFound, CommandFailed.
    """
    found = _service(name, host)
    if host.options.root != "/":
        options = ("--root", host.options.root, *options)
    return run_attached(["journalctl", f"--unit={found.name.unit}", *options])


def _service(name: ContainerName, host: Host) -> Installed:
    found = require(host.root, host.paths, name)
    if found.record is not None and not found.record.has_service:
        raise AtomicSysError(f"the container {name} has no service")
    return found


def _is_running(found: Installed, host: Host) -> bool:
    return host.manager.online and host.manager.states([found.name.unit])[found.name.unit].is_active


def _runtime(found: Installed, host: Host) -> str:
    record = found.record
    return host.paths.inside((record.runtime if record is not None else "") or host.paths.runtime)
