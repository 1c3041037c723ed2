# SPDX-License-Identifier: LGPL-2.1-or-later
"""Whether there is a running systemd to ask; a module of its own, since that is all a list asks."""

import os
from collections.abc import Mapping


def is_online(
    root: str,
    environment: Mapping[str, str],
    *,
    init_root: str = "/proc/1/root",
    booted: str = "/run/systemd/system",
) -> bool:
    """Whether the systemd that a D-Bus client would reach is the one of this root.

    In an installer's chroot it is not: a client there would start units on the installer. A user
    other than root may not look at `init_root`, and then it is taken to be the same.
    Source: sd_booted(3); systemd's running_in_chroot().
    """
    if os.path.realpath(root) != "/" or environment.get("SYSTEMD_OFFLINE") == "1":
        return False
    try:
        # stat, not readlink: a kernel may forbid to read the link and still follow it.
        same = os.path.samestat(os.stat(init_root), os.stat("/"))
    except PermissionError:
        same = True
    except OSError:
        same = False
    return same and os.path.isdir(booted)
