# SPDX-License-Identifier: LGPL-2.1-or-later
"""The directories of a tmpfiles.d file, made and removed by systemd-tmpfiles(8)."""

from collections.abc import Sequence
from enum import Enum

from atomic_sys import log
from atomic_sys.fs.process import Command
from atomic_sys.systemd.manager import SystemdError

# systemd-tmpfiles(8), "Exit status": some lines were not understood or could not be carried out,
# and all the others were.
_PARTIAL = {65: "some lines are invalid", 73: "some lines could not be carried out"}


class Outcome(Enum):
    """How far it went."""

    DONE = "done"
    PARTIAL = "partial"


def create(paths: Sequence[str], root: str = "/") -> Outcome:
    """Make what the files ask for; the paths are as seen from here, below `root`.

    A partial failure is warned of. Raises SystemdError when nothing was done.
    """
    return _run("--create", paths, root)


def remove(paths: Sequence[str], root: str = "/") -> Outcome:
    """Remove what the files mark for removal, as `create` makes it."""
    return _run("--remove", paths, root)


def _run(action: str, paths: Sequence[str], root: str) -> Outcome:
    if not paths:
        return Outcome.DONE
    where = () if root == "/" else (f"--root={root}",)
    done = Command(argv=("systemd-tmpfiles", *where, action, "--", *paths)).run()
    if done.returncode == 0:
        return Outcome.DONE
    reason = done.stderr_tail or f"exit status {done.returncode}"
    if done.returncode in _PARTIAL:
        log.warn(f"systemd-tmpfiles {action}: {_PARTIAL[done.returncode]}: {reason}")
        return Outcome.PARTIAL
    raise SystemdError(f"systemd-tmpfiles {action}: {reason}")
