# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a command line says before its verb."""

from typing import NamedTuple


class GlobalOptions(NamedTuple):
    """The options that every verb shares.

    A tuple, since importing dataclasses would cost `atomic --version` a fifth of its time.
    """

    root: str = "/"
    assume_yes: bool = False
    policy: str | None = None
    require_signed: bool = False
    registries_conf: str | None = None
    registries_d: str | None = None
    authfile: str | None = None
    lock_timeout: float | None = None
    override_os: str | None = None
    override_arch: str | None = None
    override_variant: str | None = None


LOCK_HELP = "how long to wait for another process (default: 60)"


def seconds(text: str) -> float:
    """A time for argparse. Raises ValueError."""
    value = float(text)
    if not 0 <= value < float("inf"):
        raise ValueError
    return value
