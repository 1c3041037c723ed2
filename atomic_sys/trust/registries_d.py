# SPDX-License-Identifier: LGPL-2.1-or-later
"""Files in registries.d that are our own: one for each registry, told by their first line. Pure."""

import re

OWN_MARK = b"# written by atomic trust; it changes this file as a whole\n"
_UNFIT = re.compile(r"[^A-Za-z0-9.]+")


def own_file_name(scope: str) -> str:
    """The predecessor's name for a scope's file: its registry and repository with dashes."""
    return f"{_UNFIT.sub('-', scope).strip('-')}.yaml"


def own_file(before: bytes, scope: str, address: str | None) -> bytes | None:
    """Our file with this lookaside for the scope, without the scope for None.

    None when nothing is left in it. `before` is what it was, valid already.
    """
    import yaml  # heavy, and only needed where the policy is changed

    body = yaml.safe_load(before) or {}
    scopes = dict(body.get("docker") or {})
    if address is None:
        scopes.pop(scope, None)
    else:
        scopes[scope] = (
            {"lookaside": address, "lookaside-staging": address}
            if (address.startswith("file://"))
            else {"lookaside": address}
        )
    if not scopes:
        return None
    return OWN_MARK + yaml.safe_dump({"docker": scopes}, default_flow_style=False).encode()
