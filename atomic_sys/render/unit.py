# SPDX-License-Identifier: LGPL-2.1-or-later
"""Unit text: a last look before it becomes a file, and the drop-in for a user's own ordering.

Source: systemd.syntax(7), systemd.unit(5).
"""

import re

from atomic_sys.errors import UsageError
from atomic_sys.frozen import frozen
from atomic_sys.render import escape
from atomic_sys.render.limits import TemplateError

_LINE_LIMIT = 64 << 10  # characters; systemd itself takes 1 MiB
_SERVICE = re.compile(r"^\[Service\][ \t]*$", re.MULTILINE)
_SUCCESS = re.compile(r"^SuccessExitStatus[ \t]*=", re.MULTILINE)
_UNIT_NAME = re.compile(r"[A-Za-z0-9:_.\\@-]+\.(?:service|socket|target|mount|path|slice|device)")


def check(text: str, name: str) -> str:
    """The text, if it can be a service unit; `name` names it in the error.

    Raises TemplateError without a [Service] section, or with characters that no unit has.
    """
    check_text(text, name)
    if not _SERVICE.search(text):
        raise TemplateError(f"{name}: there is no [Service] section")
    return text


def check_text(text: str, name: str) -> str:
    """The text, if it can be a file of systemd's: no control characters, no endless line.

    Raises TemplateError, with the line.
    """
    for number, line in enumerate(text.split("\n"), 1):
        bad = next((c for c in line if c != "\t" and escape.is_control(c)), None)
        if bad is not None:
            raise TemplateError(f"{name}:{number}: contains the control character {bad!r}")
        if len(line) > _LINE_LIMIT:
            raise TemplateError(f"{name}:{number}: a line of more than {_LINE_LIMIT} characters")
    return text


def with_good_end(text: str, command: str) -> str:
    """The unit, with the exit status of a runtime whose payload was stopped as a good one.

    A runtime ends with 143 when SIGTERM ends its payload, as a stop does; systemd would call that a
    failure. Left alone is a unit that says itself what is good, and one that does not run
    `command`, that of the runtime. Source: systemd.service(5), SuccessExitStatus=.
    """
    if command not in text or _SUCCESS.search(text):
        return text
    return f"{text.rstrip()}\n\n[Service]\nSuccessExitStatus=143\n"


@frozen
class Ordering:
    """The units that a user wants a container to be ordered with: `--after` and its kin."""

    after: tuple[str, ...] = ()
    before: tuple[str, ...] = ()
    requires: tuple[str, ...] = ()
    wants: tuple[str, ...] = ()

    def drop_in(self) -> str | None:
        """A drop-in that says so, or None when nothing is wanted.

        Raises UsageError for what is no name of a unit; a bare name is a service.
        """
        settings = (
            ("After", self.after),
            ("Before", self.before),
            ("Requires", self.requires),
            ("Wants", self.wants),
        )
        lines = [f"{key}={unit_name(unit)}\n" for key, units in settings for unit in units]
        return "[Unit]\n" + "".join(lines) if lines else None


def unit_name(text: str) -> str:
    """The name of a unit; a name without a suffix is a service's. Raises UsageError."""
    name = text if _UNIT_NAME.fullmatch(text) else f"{text}.service"
    if len(name) > 255 or not _UNIT_NAME.fullmatch(name):
        raise UsageError(f"{text!r} is not the name of a unit")
    return name
