# SPDX-License-Identifier: LGPL-2.1-or-later
"""The commands of a unit that start, stop and clean up a container: $EXEC_START and its kin.

Source: the predecessor's image contract (rows EXEC_* and "Pidfile mode"); systemd.service(5)
"Command lines" for the quoting.
"""

from enum import Enum, Flag, auto

from atomic_sys.frozen import frozen
from atomic_sys.render import escape
from atomic_sys.render.template import Syntax, Template


class RuntimeFeature(Flag):
    """What the runtime's own help says that it can do."""

    NONE = 0
    SYSTEMD_CGROUP = auto()  # `--systemd-cgroup`
    PID_FILE = auto()  # `run --pid-file`
    CGROUP_MANAGER = auto()  # `--cgroup-manager=disabled`, which crun has


class Supervision(Enum):
    """Who watches the payload."""

    FOREGROUND = "foreground"  # the runtime stays, and the unit's main process is the runtime
    PIDFILE = "pidfile"  # the runtime detaches, and systemd watches the container's first process


@frozen
class Runtime:
    """The OCI runtime that runs one container."""

    path: str
    features: RuntimeFeature
    container: str
    pid_file: str

    def supervision(self, unit: Template | None) -> Supervision:
        """The way that the unit's template asks for.

        A legacy template asks for a pid file by the literal texts `$EXEC_STOPPOST` and `$PIDFILE`,
        not by `${...}`; a Jinja template by the use of both variables.
        """
        if unit is None or RuntimeFeature.PID_FILE not in self.features:
            return Supervision.FOREGROUND
        if unit.syntax is Syntax.LEGACY:
            asks = "$EXEC_STOPPOST" in unit.text and "$PIDFILE" in unit.text
        else:
            asks = {"EXEC_STOPPOST", "PIDFILE"} <= unit.variables()
        return Supervision.PIDFILE if asks else Supervision.FOREGROUND

    def values(self, supervision: Supervision) -> dict[str, str]:
        """The forced variables EXEC_START, EXEC_STOP, EXEC_STARTPRE and EXEC_STOPPOST."""
        name = f"'{self.container}'"
        path = escape.word(self.path)
        cgroup = " --systemd-cgroup" if RuntimeFeature.SYSTEMD_CGROUP in self.features else ""
        if supervision is Supervision.PIDFILE:
            pid_file = escape.word(self.pid_file)
            return {
                "EXEC_START": f"{path}{cgroup} run -d --pid-file {pid_file} {name}",
                "EXEC_STOP": "",
                "EXEC_STARTPRE": "",
                "EXEC_STOPPOST": f"{path} delete {name}",
            }
        return {
            "EXEC_START": f"{path}{cgroup} run {name}",
            "EXEC_STOP": f"{path}{cgroup} kill {name}",
            "EXEC_STARTPRE": "",
            "EXEC_STOPPOST": "",
        }
