# SPDX-License-Identifier: LGPL-2.1-or-later
"""What an image that brings no /exports runs as: the names that our own templates use.

The two templates are templates/config.json.j2 and templates/service.j2; besides the variables that
every template has, the first one sees `process`, the second one `service`. Sources: image-spec
config.md and conversion.md; runtime-spec config.md; systemd.service(5); cgroups(7).
"""

import shlex
import signal
from collections.abc import Callable, Mapping
from enum import Enum

from atomic_sys.frozen import frozen
from atomic_sys.model.health import Health
from atomic_sys.model.image_config import ImageConfig
from atomic_sys.model.strict_json import Json
from atomic_sys.render import typed
from atomic_sys.render.limits import TemplateError
from atomic_sys.render.settings import Readiness, Settings
from atomic_sys.render.tmpfiles import OwnedDirectory
from atomic_sys.render.typed import ValueType
from atomic_sys.render.users import User

_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# What a server needs that starts as root, prepares its directories and then drops to its own user.
_ROOT_CAPABILITIES = (
    "CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_FSETID", "CAP_KILL", "CAP_NET_BIND_SERVICE",
    "CAP_SETGID", "CAP_SETUID",
)  # fmt: skip
_USER_CAPABILITIES = ("CAP_NET_BIND_SERVICE",)
# CLONE_NEWNS, CGROUP, UTS, IPC, USER, PID, NET (clone(2)): no namespaces inside.
_NAMESPACE_FLAGS = (
    0x20000, 0x2000000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000,
)  # fmt: skip
# Writable while it runs, with what the image has there, for its root is read-only: path, mode.
# The template adds /run and its like, which every container has.
_SCRATCH = (
    ("/var/cache", "0755"),
    ("/var/log", "0755"),
    ("/var/tmp", "1777"),  # noqa: S108  # inside the container, and it is made there
)
NOTIFY_SOCKET = "/run/systemd/notify"  # systemd's own, sd_notify(3)
_FROM_HOST = ("/etc/resolv.conf", "/etc/hosts")
ADDITIONAL_MOUNTS = "ADDTL_MOUNTS"
STOP_SIGNAL = "SIGTERM"


class Placement(Enum):
    """In whose cgroup the payload runs."""

    UNIT = "unit"  # below the unit's, named by cgroupsPath
    UNMANAGED = "unmanaged"  # in the unit's; the runtime can leave cgroups alone
    SCOPE = "scope"  # in a scope of its own, as the predecessor's containers do


@frozen
class Payload:
    """An image's own idea of how to run it, and what of it and of the host is there."""

    image: ImageConfig
    user: User
    environment: Mapping[str, str]  # comes on top of the image's
    state_directory: str  # of this container
    in_image: Callable[[str], bool]
    on_host: Callable[[str], bool]
    additional_mounts: str
    placement: Placement
    readiness: Readiness | None

    @property
    def notifies_systemd(self) -> bool:
        """Whether it talks to systemd itself, which takes only the unit's own processes for it."""
        return self.readiness is Readiness.NOTIFY and self.placement is not Placement.SCOPE

    def volumes(self) -> tuple[tuple[str, OwnedDirectory], ...]:
        """Each exposed volume with the directory of the host that keeps it.

        Raises TemplateError for a volume that is no absolute path.
        """
        pairs = []
        for volume in sorted(self.image.volumes):
            try:
                path = typed.checked_path(volume)
            except ValueError as error:
                raise TemplateError(f"a volume of the image: {error}") from None
            directory = f"{self.state_directory}{path}"
            owned = OwnedDirectory(path=directory, uid=self.user.uid, gid=self.user.gid)
            pairs.append((path, owned))
        return tuple(pairs)


def process(payload: Payload, cgroups_path: str | None) -> dict[str, Json]:
    """The name `process` of templates/config.json.j2."""
    user = payload.user
    root = user.uid == 0
    capabilities: list[Json] = list(_ROOT_CAPABILITIES if root else _USER_CAPABILITIES)
    image = payload.image
    return {
        "uid": user.uid,
        "gid": user.gid,
        "groups": list(user.groups),
        # The predecessor's default, for an image that says nothing at all.
        "args": list(image.entrypoint + image.command) or ["run.sh"],
        "env": list(_environment(payload)),
        "cwd": image.working_directory or "/",
        "capabilities": capabilities,
        # What a user other than root keeps when the payload is executed (capabilities(7)).
        "inheritable": [] if root else capabilities,
        "mounts": _mounts(payload),
        "cgroups_path": cgroups_path,
        "namespace_flags": list(_NAMESPACE_FLAGS),
    }


def _environment(payload: Payload) -> tuple[str, ...]:
    pairs = [entry.partition("=") for entry in (_PATH, *payload.image.environment)]
    result = {name: value for name, _, value in pairs}
    if payload.user.home:
        result.setdefault("HOME", payload.user.home)
    result |= payload.environment
    if payload.notifies_systemd:
        result["NOTIFY_SOCKET"] = NOTIFY_SOCKET
    return tuple(f"{name}={value}" for name, value in result.items())


def _mounts(payload: Payload) -> list[Json]:
    """Scratch space first, then the host's files, the volumes and what the user wants on top."""
    scratch: list[Json] = [
        {
            "destination": path,
            "type": "tmpfs",
            "source": "tmpfs",
            "options": ["nosuid", "nodev", "tmpcopyup", f"mode={mode}"],
        }
        for path, mode in _SCRATCH
        if payload.in_image(path)
    ]
    host = [_bind(path, path, "ro") for path in _FROM_HOST if payload.on_host(path)]
    volumes = [_bind(owned.path, path, "rw") for path, owned in payload.volumes()]
    if payload.notifies_systemd:
        host.append(_bind(NOTIFY_SOCKET, NOTIFY_SOCKET, "rw"))
    more = typed.parse(ADDITIONAL_MOUNTS, ValueType.MOUNTS, payload.additional_mounts)
    return scratch + host + volumes + (more if isinstance(more, list) else [])


def _bind(source: str, destination: str, access: str) -> Json:
    options: list[Json] = ["rbind", access, "nosuid", "nodev"]
    return {"destination": destination, "type": "bind", "source": source, "options": options}


@frozen
class Service:
    """How the unit of an image without a template of its own behaves."""

    name: str
    runtime: str
    placement: Placement
    settings: Settings
    stop_signal: str
    state: tuple[str, ...]
    is_user: bool

    def context(self) -> dict[str, Json]:
        """The name `service` of templates/service.j2. Raises TemplateError."""
        number = _signal_number(self.stop_signal or STOP_SIGNAL)
        return {
            "type": "notify" if self.settings.readiness is Readiness.NOTIFY else "exec",
            "placement": self.placement.value,
            "start": _start(self.name, self.runtime),
            "probe": self._probe(),
            "stop_signal": _signal_name(number),
            "success": [str(code) for code in sorted({143, 128 + number})],
            "state": list(self.state),
            "wanted_by": "default.target" if self.is_user else "multi-user.target",
        }

    def _probe(self) -> str:
        if self.settings.readiness is not Readiness.COMMAND:
            return ""
        if self.settings.health is None:
            raise TemplateError("manifest.json: readiness is 'command', but there is no health")
        return _probe(self.name, self.runtime, self.settings.health)


def cgroups_path(name: str, placement: Placement) -> str | None:
    """Where the runtime puts the payload, when we say so."""
    return f"{_unit_cgroup(name)}/container" if placement is Placement.UNIT else None


def _unit_cgroup(name: str) -> str:
    return f"/system.slice/{name}.service"


def _start(name: str, runtime: str) -> str:
    """Shell text: leave the unit's own cgroup where there is cgroup v2, then be the runtime."""
    cgroup = f"/sys/fs/cgroup{_unit_cgroup(name)}"
    return (
        f"if [ -e {cgroup}/cgroup.controllers ]; then mkdir -p {cgroup}/supervisor"
        f" && echo $$ >{cgroup}/supervisor/cgroup.procs; fi;"
        f" exec {shlex.quote(runtime)} run {name}"
    )


def _probe(name: str, runtime: str, check: Health) -> str:
    """Shell text that ends when the check succeeds; systemd's start timeout ends it otherwise."""
    command = shlex.join([runtime, "exec", name, *check.command])
    pause = max(1, round(check.interval))
    return f"until {command} >/dev/null 2>&1; do sleep {pause}; done"


def _signal_number(text: str) -> int:
    name = text.removeprefix("SIG")
    base, plus, offset = name.partition("+")
    try:
        number = int(name) if name.isdigit() else signal.Signals[f"SIG{base}"].value
        number += int(offset) if plus else 0
    except (KeyError, ValueError):
        number = 0
    if not 0 < number <= signal.SIGRTMAX:
        raise TemplateError(f"the image's stop signal {text[:40]!r} is unknown")
    return number


def _signal_name(number: int) -> str:
    if signal.SIGRTMIN < number < signal.SIGRTMAX:
        return f"SIGRTMIN+{number - signal.SIGRTMIN}"
    return signal.Signals(number).name
