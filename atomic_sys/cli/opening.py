# SPDX-License-Identifier: LGPL-2.1-or-later
"""From the global options to an open host."""

import os

from atomic_sys.cli.options import GlobalOptions
from atomic_sys.host import DEFAULT_LOCK_TIMEOUT, Host, HostOptions


def open_host(options: GlobalOptions, *, lock_timeout: float = DEFAULT_LOCK_TIMEOUT) -> Host:
    """The host that the options name; use it as a context manager."""
    return Host(
        HostOptions(
            root=options.root,
            policy=options.policy,
            registries_conf=options.registries_conf,
            registries_d=options.registries_d,
            lock_timeout=lock_timeout,
        ),
        os.environ,
    )
