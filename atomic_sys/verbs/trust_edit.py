# SPDX-License-Identifier: LGPL-2.1-or-later
"""`atomic trust delete`, `default` and `reset`: the policy of the host, and its registries.d."""

import os

from atomic_sys.errors import UsageError
from atomic_sys.host import Host
from atomic_sys.trust.edit_files import change_policy, clear_lookasides, remove_lookaside
from atomic_sys.trust.files import find_policy
from atomic_sys.trust.lint import KNOWN_TRANSPORTS
from atomic_sys.trust.new_requirements import Kind
from atomic_sys.trust.policy_edit import STARTING_POLICY, delete_scope, set_default

_FORMER_NAMES = {"web": "docker", "local": "dir"}


def transport_named(text: str) -> str:
    """The transport, by its own name or the predecessor's. Raises UsageError."""
    name = _FORMER_NAMES.get(text, text)
    if name not in KNOWN_TRANSPORTS:
        known = ", ".join(sorted({*KNOWN_TRANSPORTS, *_FORMER_NAMES}))
        raise UsageError(f"unknown transport {text!r}", hint=f"it is one of {known}")
    return name


def policy_to_edit(host: Host) -> tuple[str, bytes]:
    """The policy file to change, and what it begins with where there is none.

    The file that is used is changed; instead of the one that packages bring, /etc gets a copy.
    """
    *others, vendor = host.policy_paths
    if not others:  # a file that is named
        return vendor, STARTING_POLICY
    for path in others:
        if os.path.lexists(path):
            return path, STARTING_POLICY
    start = find_policy([vendor])[1] if os.path.lexists(vendor) else STARTING_POLICY
    return others[-1], start


def delete(transport: str, scope: str, host: Host, *, keep_lookaside: bool) -> tuple[str, ...]:
    """Remove a scope, and what registries.d says of it; the files that were changed.

    Raises AtomicSysError for one that is not there, InvalidPolicy.
    """
    path, start = policy_to_edit(host)
    timeout = host.options.lock_timeout
    change_policy(
        path, lambda old: delete_scope(old, path, (transport, scope)), start=start, timeout=timeout
    )
    changed = None
    if transport == "docker" and not keep_lookaside:
        changed = remove_lookaside(host.registries_d, scope, timeout=timeout)
    return (path,) if changed is None else (path, changed)


def set_policy_default(kind: Kind, host: Host) -> str:
    """Let everything that no scope names be accepted or rejected; the file that says so.

    Raises UsageError for a kind that needs keys, InvalidPolicy, AtomicSysError.
    """
    if kind.has_keys:
        raise UsageError("the default is accept or reject")
    path, start = policy_to_edit(host)
    change_policy(
        path,
        lambda old: set_default(old, path, [{"type": kind.value}]),
        start=start,
        timeout=host.options.lock_timeout,
    )
    return path


def reset(host: Host) -> tuple[str, ...]:
    """Begin anew: the policy that rejects everything, and nothing but default.yaml in registries.d.

    What was there is not looked at, so that an invalid policy can be got rid of. Returns the files
    that were changed or removed. Raises AtomicSysError.
    """
    path, _ = policy_to_edit(host)
    timeout = host.options.lock_timeout
    change_policy(path, lambda _old: STARTING_POLICY, start=b"", timeout=timeout)
    return (path, *clear_lookasides(host.registries_d, timeout=timeout))
