# SPDX-License-Identifier: LGPL-2.1-or-later
"""Talk goes to stderr, one escaped line at a time; data goes to stdout and never through here."""

import sys

from atomic_sys.errors import printable


class _State:
    debug = False


def set_debug(*, enabled: bool) -> None:
    """Let debug() speak."""
    _State.debug = enabled


def debug_enabled() -> bool:
    """Whether the user asked for `--debug`."""
    return _State.debug


def _say(prefix: str, message: str) -> None:
    # One write, or the lines of several threads would run into each other.
    sys.stderr.write(f"{prefix}{printable(message)}\n")
    sys.stderr.flush()


def debug(message: str) -> None:
    """A line for whoever looks for the cause of something."""
    if _State.debug:
        _say("debug: ", message)


def note(message: str) -> None:
    """A line about what is being done."""
    _say("", message)


def warn(message: str) -> None:
    """A line about something that is not as it should be, but does not stop the work."""
    _say("warning: ", message)
