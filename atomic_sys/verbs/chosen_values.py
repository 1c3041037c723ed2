# SPDX-License-Identifier: LGPL-2.1-or-later
"""The values that a user chose for a container, then and now."""

from collections.abc import Iterable, Mapping

from atomic_sys.errors import UsageError
from atomic_sys.render.exports import Exports
from atomic_sys.render.render import known_names
from atomic_sys.render.values import OVERRIDABLE


def changed_values(
    chosen: Mapping[str, str], changed: Mapping[str, str], unset: Iterable[str]
) -> dict[str, str]:
    """Those chosen before without what is unset, and with what is changed. Raises UsageError."""
    values = dict(chosen)
    for name in unset:
        if name not in values:
            there = f"set are {', '.join(sorted(values))}" if values else "no value is set"
            raise UsageError(f"the value {name} was never set", hint=there)
        del values[name]
    return values | dict(changed)


def known_values(values: Mapping[str, str], exports: Exports) -> dict[str, str]:
    """Those that an image knows: of the predecessor's some may be of an older one."""
    known = known_names(exports) | OVERRIDABLE
    return {name: value for name, value in values.items() if name in known}
