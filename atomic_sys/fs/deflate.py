# SPDX-License-Identifier: LGPL-2.1-or-later
"""Deflated data (RFC 1950, RFC 1952) by the fastest library that is there."""

import zlib
from types import ModuleType


def fast_zlib() -> ModuleType:
    """Something with the interface of zlib, whose levels are 0 to 3 at least.

    isal inflates twice as fast and deflates six times as fast, but need not be there.
    """
    try:
        # Here since it is optional, and only verbs that pull need it.
        from isal import isal_zlib
    except ImportError:
        return zlib
    module: ModuleType = isal_zlib
    return module
