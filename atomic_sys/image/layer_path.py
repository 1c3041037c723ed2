# SPDX-License-Identifier: LGPL-2.1-or-later
"""From a name in an archive to a path of checked components; pure.

A leading `/`, `./` and doubled slashes mean nothing; `..` is refused wherever it stands, since what
it leads to depends on links that other layers may bring. Names are UTF-8: the store's format
demands it. Source: image-spec layer.md.
"""

import functools

from atomic_sys.image.tar_header import InvalidLayer, LimitExceeded, exceeded
from atomic_sys.model.layer import LayerPath, OpaqueWhiteout, Whiteout
from atomic_sys.model.limits import DEPTH, LayerLimits

WHITEOUT = ".wh."
_OPAQUE = ".wh..wh..opq"
_NAME_MAX = 255  # bytes of a component; Linux, NAME_MAX
_PATH_MAX = 4095  # bytes of a path or a link's target; Linux, PATH_MAX less its NUL
_WIDEST = 4  # bytes of a character in UTF-8
_SHORT = _NAME_MAX // _WIDEST  # characters of a component that cannot be too long
_CACHE = 1024  # directories; each can be of 20 KB
_DOT = ord(".")


class Paths:
    """Parses names; directories are remembered, since their files come one after the other."""

    def __init__(self, limits: LayerLimits) -> None:
        self._depth = limits.depth
        self._directory = functools.lru_cache(maxsize=_CACHE)(self._parse_directory)
        self._last: LayerPath = ()  # the directory of the last name, and as it was written
        self._last_head = b""

    def parse(self, raw: bytes) -> LayerPath:
        """The path that a member's name means; `()` is the root. Raises InvalidLayer."""
        head, _, base = raw.rpartition(b"/")
        # Nearly every name is beside the one before, and an ordinary one: that is seen by its
        # length and its first byte, which is neither the end of a directory's name nor a dot.
        if (
            head == self._last_head
            and base
            and base[0] != _DOT
            and len(base) <= _NAME_MAX
            and len(raw) <= _PATH_MAX
        ):
            try:
                return (*self._last, base.decode())
            except UnicodeDecodeError:
                pass  # as for any other name
        return self._parse(raw)

    def _parse(self, raw: bytes) -> LayerPath:
        head, _, base = decoded(raw).rstrip("/").rpartition("/")
        if base in ("", "."):
            if not raw:
                raise InvalidLayer("a member without a name")
            return self._directory(head)
        if base == ".." or len(base) > _SHORT:
            check_component(base.removeprefix(WHITEOUT), raw)
        directory = self._directory(head)
        if len(directory) >= self._depth:
            raise self._too_deep(raw)
        self._last, self._last_head = directory, head.encode()
        return (*directory, base)

    def target(self, raw: bytes) -> LayerPath:
        """The path that a hard link's target means. Raises InvalidLayer."""
        path = self.parse(raw)
        if not path or path[-1].startswith(WHITEOUT):
            raise InvalidLayer(f"a hard link to {raw[:_NAME_MAX]!r}")
        return path

    def _too_deep(self, raw: bytes) -> LimitExceeded:
        return exceeded(f"{raw[:_NAME_MAX]!r} is more than {self._depth} directories deep", DEPTH)

    def _parse_directory(self, name: str) -> LayerPath:
        parts = tuple(part for part in name.split("/") if part not in ("", "."))
        if len(parts) > self._depth:
            raise self._too_deep(name.encode())
        for part in parts:
            check_component(part, name.encode())
            if part.startswith(WHITEOUT):
                raise InvalidLayer(f"{name[:_NAME_MAX]!r}: a directory cannot be a whiteout")
        return parts


def decoded(raw: bytes) -> str:
    """The name as text. Raises InvalidLayer when it is not UTF-8 or longer than a path can be."""
    if len(raw) > _PATH_MAX:
        raise InvalidLayer(f"a name of {len(raw)} bytes: {raw[:80]!r}...")
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        raise InvalidLayer(f"the name {raw[:_NAME_MAX]!r} is not UTF-8") from None


def check_component(part: str, raw: bytes) -> None:
    """Raises InvalidLayer unless a directory can have an entry of this name."""
    if part == "..":
        raise InvalidLayer(f"{raw[:_NAME_MAX]!r}: '..' in a name")
    if len(part) * _WIDEST > _NAME_MAX and len(part.encode()) > _NAME_MAX:
        raise InvalidLayer(f"a name of more than {_NAME_MAX} bytes: {part[:80]!r}...")


def whiteout(path: LayerPath) -> Whiteout | OpaqueWhiteout:
    """What a path whose last component has the whiteout prefix takes away.

    Raises InvalidLayer for one that would take away its own directory or another whiteout.
    """
    *directory, base = path
    if base == _OPAQUE:
        return OpaqueWhiteout(tuple(directory))
    name = base.removeprefix(WHITEOUT)
    if name in ("", ".", "..") or name.startswith(WHITEOUT):
        raise InvalidLayer(f"impossible whiteout {'/'.join(path)[:_NAME_MAX]!r}")
    return Whiteout((*directory, name))
