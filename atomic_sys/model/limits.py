# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a layer may cost: a bomb is an error, and neither a full disk nor all of the memory.

The defaults are far above what images have. Each limit is a setting of atomic.conf, whose name is
in the error of a layer that is over it.
"""

from typing import NamedTuple

from atomic_sys.frozen import frozen


class LimitSetting(NamedTuple):
    """A setting: its name in atomic.conf, and the least and the most that it can be."""

    name: str
    least: int
    most: int


ENTRIES = LimitSetting("max_layer_entries", 1, 10**9)
DEPTH = LimitSetting("max_path_depth", 1, 256)  # the store's own readers go no deeper
HEADER = LimitSetting("max_header_bytes", 4096, 1 << 26)  # it is held in memory
UNPACKED = LimitSetting("max_layer_bytes", 1 << 20, 1 << 50)


@frozen
class LayerLimits:
    """The limits of one layer; sizes are in bytes."""

    entries: int = 2_000_000
    depth: int = 256  # components of a path
    header: int = 1 << 20  # of an extended header or a long name
    unpacked: int = 1 << 38  # of the uncompressed stream


DEFAULT_LIMITS = LayerLimits()
