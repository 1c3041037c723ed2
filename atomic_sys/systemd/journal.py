# SPDX-License-Identifier: LGPL-2.1-or-later
"""The last words of a unit, for an error report. Source: journalctl(1)."""

from atomic_sys import log
from atomic_sys.fs.process import Command, CommandFailed

_TIMEOUT = 20.0  # seconds; a large journal on a slow disk
_LINE = 2000  # characters that are kept of one line


def tail(unit: str, lines: int, invocation_id: str = "") -> tuple[str, ...]:
    """The last lines of the unit's journal, of exactly one run when its invocation id is given.

    Nothing when the journal cannot be read: whoever reports a failure must not fail over it.
    """
    which = f"_SYSTEMD_INVOCATION_ID={invocation_id}" if invocation_id else f"--unit={unit}"
    argv = ("journalctl", "--no-pager", "--quiet", "--output=cat", f"--lines={lines}", which)
    try:
        done = Command(argv=argv, timeout=_TIMEOUT).check()
    except CommandFailed as error:
        log.debug(str(error))
        return ()
    text = done.stdout.decode("utf-8", "replace")
    return tuple(line[:_LINE] for line in text.splitlines())
