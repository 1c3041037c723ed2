# SPDX-License-Identifier: LGPL-2.1-or-later
"""From the global options to an open host."""

import os
from typing import TYPE_CHECKING

from atomic_sys.cli.options import GlobalOptions
from atomic_sys.host import DEFAULT_LOCK_TIMEOUT, Host, HostOptions

if TYPE_CHECKING:
    from atomic_sys.image.auth_file import Password


def open_host(
    options: GlobalOptions,
    *,
    lock_timeout: float | None = None,
    source_credentials: str | None = None,
    destination_credentials: str | None = None,
) -> Host:
    """The host that the options name; use it as a context manager.

    Raises UsageError for credentials that are not `USER[:PASSWORD]`.
    """
    given = options.lock_timeout if lock_timeout is None else lock_timeout
    return Host(
        HostOptions(
            root=options.root,
            policy=options.policy,
            require_signed=options.require_signed,
            registries_conf=options.registries_conf,
            registries_d=options.registries_d,
            authfile=options.authfile,
            source_credentials=_credentials(source_credentials),
            destination_credentials=_credentials(destination_credentials),
            lock_timeout=DEFAULT_LOCK_TIMEOUT if given is None else given,
            override_os=options.override_os,
            override_arch=options.override_arch,
            override_variant=options.override_variant,
        ),
        os.environ,
    )


def _credentials(text: str | None) -> "Password | None":
    if text is None:
        return None
    from atomic_sys.image.auth_file import parse_option  # only few verbs have the option

    return parse_option(text)
