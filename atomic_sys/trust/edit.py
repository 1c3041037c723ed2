# SPDX-License-Identifier: LGPL-2.1-or-later
"""Changes of a policy's text: one place changes, the rest stays as somebody wrote it. Pure.

What comes out is parsed by the strict grammar before anybody writes it to a file.
"""

from collections.abc import Sequence

from atomic_sys.errors import NotFound
from atomic_sys.model.strict_json import Json
from atomic_sys.trust import json_edit, policy
from atomic_sys.trust.requirements import Policy

# What a host without a policy begins with: nothing is trusted.
EMPTY_POLICY = """{
    "default": [
        {
            "type": "reject"
        }
    ],
    "transports": {}
}
"""


def put_scope(
    text: str, transport: str, scope: str, requirements: Sequence[Json], what: str
) -> str:
    """The policy with these requirements for the scope.

    Raises InvalidPolicy for a text that is no policy, or a scope that the transport cannot have.
    """
    policy.parse(text.encode(), what)
    return _checked(
        json_edit.set_value(text, ("transports", transport, scope), list(requirements)), what
    )


def remove_scope(text: str, transport: str, scope: str, what: str) -> str:
    """The policy without the scope. Raises InvalidPolicy, NotFound."""
    if scope not in parsed(text, what).transports.get(transport, {}):
        name = f"{transport} {scope}".rstrip()
        raise NotFound(f"Could not find trust policy defined for {name} transport")
    return _checked(json_edit.delete(text, ("transports", transport, scope)), what)


def set_default(text: str, requirements: Sequence[Json], what: str) -> str:
    """The policy with another default. Raises InvalidPolicy."""
    policy.parse(text.encode(), what)
    return _checked(json_edit.set_value(text, ("default",), list(requirements)), what)


def parsed(text: str, what: str) -> Policy:
    """The policy that the text is. Raises InvalidPolicy."""
    return policy.parse(text.encode(), what)


def _checked(text: str, what: str) -> str:
    policy.parse(text.encode(), what)
    return text
