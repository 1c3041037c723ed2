# SPDX-License-Identifier: LGPL-2.1-or-later
"""The hooks of an image: commands that are run inside its container before something is done to it.

Source: the contract, section 4 (`hooks` of manifest.json).
"""

from collections.abc import Mapping
from enum import Enum

from atomic_sys.model.strict_json import InvalidJson, Json, as_object, as_strings


class Hook(Enum):
    """When the command is run; the values are the names in manifest.json."""

    PRE_UPDATE = "pre-update"
    UNINSTALL = "uninstall"


def parse(value: Json, what: str) -> Mapping[Hook, tuple[str, ...]]:
    """The commands by their hooks.

    Raises InvalidJson also for a hook that nobody knows, since its command would never be run, and
    for a command that cannot be executed.
    """
    known = {hook.value: hook for hook in Hook}
    found = {}
    for name, command in as_object(value, what).items():
        if name not in known:
            raise InvalidJson(f"{what}.{name} is no hook: there is {' and '.join(known)}")
        words = as_strings(command, f"{what}.{name}")
        if not words or not words[0] or any("\0" in word for word in words):
            raise InvalidJson(f"{what}.{name} is not a command and its arguments")
        found[known[name]] = words
    return found


def to_json(hooks: Mapping[Hook, tuple[str, ...]]) -> Json:
    """As manifest.json has them."""
    return {hook.value: list(command) for hook, command in hooks.items()}
