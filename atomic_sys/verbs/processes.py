# SPDX-License-Identifier: LGPL-2.1-or-later
"""`atomic containers ps` and `stats`: what runs in a container, and what it takes.

The runtime knows the container's processes and its control group, whatever the version of cgroups.
Sources: proc_pid_stat(5); runc's `ps` and `events --stats`.
"""

import os
import pwd
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from atomic_sys.engine.observe import Installed, require
from atomic_sys.errors import AtomicSysError
from atomic_sys.frozen import frozen
from atomic_sys.fs.process import Command
from atomic_sys.host import Host
from atomic_sys.model import strict_json
from atomic_sys.model.names import ContainerName
from atomic_sys.model.strict_json import Json, as_array, as_integer, as_object

_UNLIMITED = 1 << 60  # bytes; the kernel's "no limit" is some number beyond all memory


@frozen
class Process:
    """A process of a container, by its number on the host; `cpu` is in seconds."""

    pid: int
    parent: int
    user: str
    cpu: float
    started: float  # seconds since the epoch
    command: str


@frozen
class Usage:
    """What a container takes; sizes are in bytes, `cpu` is in percent of one processor.

    `limit` is None where nothing but the host's memory limits it.
    """

    name: ContainerName
    cpu: float
    memory: int
    limit: int | None
    processes: int
    read: int
    written: int


def processes(name: ContainerName, host: Host) -> tuple[Process, ...]:
    """The processes of a running container, the first one first.

    Raises NotFound, AtomicSysError when it does not run.
    """
    pids = _pids(require(host.root, host.paths, name), host)
    ticks = os.sysconf("SC_CLK_TCK")
    booted = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)
    known = (_process(pid, ticks, booted) for pid in sorted(pids))
    return tuple(process for process in known if process is not None)


def _pids(found: Installed, host: Host) -> list[int]:
    answer = _ask(found, host, ["ps", "--format", "json", str(found.name)])
    return [as_integer(pid, "a pid") for pid in as_array(answer, "the processes")]


def _process(pid: int, ticks: int, booted: float) -> Process | None:
    """The process, or None when it has ended since."""
    directory = Path("/proc", str(pid))
    try:
        stat = (directory / "stat").read_text(encoding="utf-8", errors="replace")
        arguments = (directory / "cmdline").read_bytes().rstrip(b"\0").split(b"\0")
        owner = directory.stat().st_uid
    except (FileNotFoundError, ProcessLookupError):
        return None
    own_name, _, rest = stat.partition("(")[2].rpartition(")")
    fields = rest.split()
    shown = " ".join(part.decode("utf-8", "replace") for part in arguments)
    return Process(
        pid=pid,
        parent=int(fields[1]),
        user=_user_name(owner),
        cpu=(int(fields[11]) + int(fields[12])) / ticks,
        started=booted + int(fields[19]) / ticks,
        command=shown or f"[{own_name}]",
    )


def _user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def usage(names: Sequence[ContainerName], host: Host, interval: float) -> tuple[Usage, ...]:
    """What these containers take, measured over `interval` seconds.

    Raises NotFound, AtomicSysError for one that does not run.
    """
    containers = [require(host.root, host.paths, name) for name in names]
    before = [(_statistics(found, host), time.monotonic()) for found in containers]
    time.sleep(interval)
    found = []
    for container, (earlier, then) in zip(containers, before, strict=True):
        now, seconds = _statistics(container, host), time.monotonic() - then
        cpu = _cpu(now) - _cpu(earlier)
        memory = _counted_memory(now) or sum(map(_share_of_memory, _pids(container, host)))
        found.append(_usage(container.name, now, 100 * cpu / 1e9 / seconds, memory))
    return tuple(found)


def _statistics(found: Installed, host: Host) -> Mapping[str, Json]:
    answer = as_object(_ask(found, host, ["events", "--stats", str(found.name)]), "statistics")
    return as_object(answer.get("data"), "statistics")


def _counted_memory(data: Mapping[str, Json]) -> int:
    """What the control group counts; 0 where the host does not let it count."""
    return _number(_at(data, "memory", "usage").get("usage"))


def _share_of_memory(pid: int) -> int:
    """The process's pages, those that it shares by parts: proc_pid_smaps(5), Pss, in bytes."""
    try:
        text = Path("/proc", str(pid), "smaps_rollup").read_text(encoding="ascii")
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return sum(int(line.split()[1]) * 1024 for line in text.splitlines() if line[:4] == "Pss:")


def _usage(name: ContainerName, data: Mapping[str, Json], cpu: float, memory: int) -> Usage:
    limit = _number(_at(data, "memory", "usage").get("limit"))
    transfers = _at(data, "blkio").get("ioServiceBytesRecursive")
    moved = {"read": 0, "write": 0}
    for entry in transfers if isinstance(transfers, list) else []:
        kind = entry.get("op") if isinstance(entry, dict) else None
        if isinstance(entry, dict) and isinstance(kind, str) and kind.lower() in moved:
            moved[kind.lower()] += _number(entry.get("value"))
    return Usage(
        name=name,
        cpu=cpu,
        memory=memory,
        limit=limit if 0 < limit < _UNLIMITED else None,
        processes=_number(_at(data, "pids").get("current")),
        read=moved["read"],
        written=moved["write"],
    )


def _cpu(data: Mapping[str, Json]) -> int:
    return _number(_at(data, "cpu", "usage").get("total"))


def _at(data: Mapping[str, Json], *keys: str) -> Mapping[str, Json]:
    """An object inside; what a kernel does not count is not there."""
    for key in keys:
        inner = data.get(key)
        data = inner if isinstance(inner, dict) else {}
    return data


def _number(value: Json) -> int:
    return value if isinstance(value, int) else 0


def _ask(found: Installed, host: Host, arguments: Sequence[str]) -> Json:
    record = found.record
    runtime = (record.runtime if record is not None else "") or host.paths.runtime
    done = Command(argv=[host.paths.inside(runtime), *arguments]).run()
    if done.returncode != 0:
        why = "" if "does not exist" in done.stderr_tail else f": {done.stderr_tail}"
        raise AtomicSysError(
            f"the container {found.name} is not running{why}",
            hint=f"systemctl start {found.name.unit}",
        )
    return strict_json.loads(done.stdout, f"the answer of {runtime}")
