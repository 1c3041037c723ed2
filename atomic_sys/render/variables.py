# SPDX-License-Identifier: LGPL-2.1-or-later
"""Which variables of an image a user can set, and what they are when they are not set.

Source: the predecessor's `images info` ("Template variables ...").
"""

from atomic_sys.frozen import frozen
from atomic_sys.render.exports import Exports
from atomic_sys.render.render import known_names
from atomic_sys.render.values import FORCED, OVERRIDABLE

SET_BY_OS = "{SET_BY_OS}"
NO_DEFAULT = "{DEF_VALUE}"
SECRET = "{SECRET}"  # noqa: S105 - a placeholder that stands where a secret is not shown
_UUID = "UUID"


@frozen
class SettableVariables:
    """Names and values, sorted; a value is a placeholder where the image does not say it."""

    with_default: dict[str, str]
    without_default: dict[str, str]


def settable_variables(exports: Exports) -> SettableVariables:
    """The variables of the templates and of manifest.json, less those that the program decides."""
    defaults, secrets = exports.settings.all_defaults(), exports.settings.secrets
    found: dict[str, str] = {}
    for name in sorted(known_names(exports) - FORCED):
        # Of these the host's value wins over the image's, but for the UUID.
        if name in OVERRIDABLE and not (name == _UUID and name in defaults):
            found[name] = SET_BY_OS
        elif name in defaults:
            found[name] = SECRET if name in secrets else defaults[name]
        else:
            found[name] = NO_DEFAULT
    without = {name: value for name, value in found.items() if name not in defaults}
    without = {name: value for name, value in without.items() if name not in OVERRIDABLE}
    return SettableVariables(
        with_default={name: value for name, value in found.items() if name not in without},
        without_default=without,
    )
