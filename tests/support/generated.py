# SPDX-License-Identifier: LGPL-2.1-or-later
"""Images for hypothesis to make up: few names, so that layers meet, and every way to write them.

Most layers keep to the rules (a name is a directory or something else, a hard link leads to a
file); without that, hardly an image of several layers would be one.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import Final, TypeAlias, TypeVar

from hypothesis import strategies as st

from tests.support import archives

Names: TypeAlias = tuple[bytes, ...]
_Option = TypeVar("_Option")

_PLAIN = (b"a", b"b", b"c", b"d")
_ODD = (
    b"with space", b"new\nline", "umlaut-\u00e4\u20ac\U0001f600".encode(), b"..x", b"...", b".wh",
    b"x.wh.y", b"\\", b"'\"*?$(x)", b"\x01\x7f", b"n" * 99, b"n" * 101, b"n" * 255, b"-rf",
)  # fmt: skip
_CAPABILITIES = tuple(
    bytes.fromhex(text)
    for text in (
        "0100000200040000000000000000000000000000",  # CAP_DAC_READ_SEARCH of everybody
        "000000030004000000000000000000000000000000000000",  # of the same, in the newer format
        "0100000300040000000000000000000000000000e8030000",  # of the users below user 1000
    )
)
_MODES = (0o644, 0o755, 0o4755, 0o2711, 0o6777, 0o1777, 0o000, 0o7777, 0o600)
_IDS = (0, 0, 1, 1000, 0o7777777, 0o10000000, (1 << 32) - 2)
_CONTENTS = (b"", b"1", b"content", b"\0" * 512, bytes(range(256)) * 5)
_TIMES = (0, 1, 1 << 31, (1 << 33) - 1)
_KINDS = ("file",) * 6 + ("directory",) * 4 + ("symlink",) * 4 + ("hard link",) * 3 + (
    "whiteout",) * 4 + ("opaque", "fifo")  # fmt: skip
_DECORATIONS = ("{}", "{}", "./{}", "/{}", "//{}", "././{}")
_OCTAL_LIMIT: Final = 1 << 21  # of an owner in seven octal digits
_FLAGS = {"file": b"0", "directory": b"5", "symlink": b"2", "hard link": b"1", "fifo": b"6"}
_VALUES = (b"x", b"", b"\0\xff\n", b"v" * 300)
_XATTRS = (
    ("user.a", _VALUES), ("user.\u00e4 b", _VALUES), ("security.capability", _CAPABILITIES),
    ("security.selinux", _VALUES), ("trusted.overlay.opaque", _VALUES),
    ("system.posix_acl_access", _VALUES),
)  # fmt: skip


@dataclass(slots=True, kw_only=True, repr=False)
class Member:
    """A member of an archive before it is bytes. `path` is what its name means."""

    kind: str
    path: Names
    target: bytes = b""
    content: bytes = b""
    mode: int = 0o644
    uid: int = 0
    gid: int = 0
    time: int = 0
    xattrs: dict[str, bytes] = field(default_factory=dict)
    decoration: str = "{}"
    style: str = "pax"

    def __repr__(self) -> str:
        said = [
            f"{item.name}={value!r}"
            for item in fields(self)
            if (value := getattr(self, item.name)) != item.default and value != {}
        ]
        return f"Member({', '.join(said)})"

    @property
    def is_storable(self) -> bool:
        """Whether OSTree can store its names: they must be UTF-8."""
        try:
            b"/".join((*self.path, self.target)).decode()
        except UnicodeDecodeError:
            return False
        return True

    @property
    def name(self) -> bytes:
        """How the archive names it."""
        plain = b"/".join(self.path)
        if self.kind == "directory":
            plain += b"/"
        before, _, after = self.decoration.partition("{}")
        return before.encode() + plain + after.encode()

    def tar(self) -> bytes:
        """The bytes of the archive."""
        content = self.content if self.kind == "file" else b""
        flag = _FLAGS.get(self.kind, b"0")
        target = self.target if self.kind in ("symlink", "hard link") else b""
        name, before, ids = self.name, b"", [self.uid, self.gid]
        xattrs = {} if self.kind in ("hard link", "whiteout", "opaque") else self.xattrs
        if self.style == "gnu" and not xattrs:
            if len(target) > 100:
                before += archives.long_name(target, b"K")
            if len(name) > 100:
                before += archives.long_name(name)
        else:
            records = self._records(name, target)
            records.update({f"SCHILY.xattr.{key}": value for key, value in xattrs.items()})
            if records:
                before += archives.pax(records)
            ids = [value if value < _OCTAL_LIMIT else 0 for value in ids]
        header = archives.header(
            name[:100], flag, len(content), target[:100], mode=archives.field(self.mode, 8),
            uid=_id(ids[0]), gid=_id(ids[1]), mtime=archives.field(self.time, 12),
        )  # fmt: skip
        return before + header + archives.padded(content)

    def _records(self, name: bytes, target: bytes) -> dict[str, bytes | str]:
        """What a ustar header has no room for."""
        found: dict[str, bytes | str] = {}
        if len(name) > 100:
            found["path"] = name
        if len(target) > 100:
            found["linkpath"] = target
        for key, value in (("uid", self.uid), ("gid", self.gid)):
            if value >= _OCTAL_LIMIT:
                found[key] = str(value)
        if self.time % 2:
            found["mtime"] = f"{self.time}.25"
        return found


def _id(value: int) -> bytes:
    """An owner, in base 256 where seven octal digits have no room for it."""
    return archives.field(value, 8) if value < _OCTAL_LIMIT else b"\x80" + value.to_bytes(7, "big")


def _targets(path: Names) -> list[bytes]:
    """What a symbolic link may say to mean this path, or nothing."""
    plain = b"/".join(path)
    return [plain, b"/" + plain, b"../" + plain, b"../../../../" + plain, plain + b"/.", b"..",
            b"/", b"nowhere", b"/etc/passwd", b"a/../" + plain, b"x" * 300,
            b"line\nbreak"]  # fmt: skip


class Choices:
    """Choices made by bytes in turn: quick to draw, and hypothesis makes them fewer and smaller."""

    def __init__(self, data: bytes) -> None:
        self._bytes = iter(data)

    def number(self, limit: int) -> int:
        """A number from 0 up to the limit; 0 when there are no bytes left."""
        return next(self._bytes, 0) % limit

    def one(self, options: Sequence[_Option]) -> _Option:
        """One of at most 256 options."""
        return options[self.number(len(options))]

    def rarely(self, times: int) -> bool:
        """True once in so many times."""
        return self.number(times) == times - 1


class _Maker:
    """Makes the layers of one image."""

    def __init__(self, choose: Choices) -> None:
        self.choose = choose
        self.below: set[Names] = set()  # names of files in the layers so far
        self.lawful = not choose.rarely(8)
        self.names = (*_PLAIN * 8, *_ODD)

    def layer(self) -> list[Member]:
        """One layer upon the others."""
        leaves: set[Names] = set()
        directories: set[Names] = {()}
        members: list[Member] = []
        for _ in range(self.choose.number(10)):
            member = self._member(sorted(leaves | self.below))
            above = member.path if member.kind == "directory" else member.path[:-1]
            parents = {above[:depth] for depth in range(len(above) + 1)}
            leaf = member.kind not in ("directory", "whiteout", "opaque")
            itself = member.target == b"/".join(member.path) and member.kind == "hard link"
            if self.lawful and (
                parents & leaves or itself or (leaf and member.path in directories)
            ):
                continue
            directories |= parents
            if leaf:
                leaves.add(member.path)
            members.append(member)
        self.below |= leaves
        return members

    def _path(self) -> Names:
        path = tuple(self.choose.one(self.names) for _ in range(1 + self.choose.number(3)))
        return path if self.lawful or not self.choose.rarely(16) else (*path, b"caf\xe9")

    def _member(self, known: Sequence[Names]) -> Member:
        choose = self.choose
        member = Member(kind=choose.one(_KINDS), path=self._path())
        member.decoration = choose.one(_DECORATIONS)
        member.style = choose.one(("pax", "gnu"))
        match member.kind:
            case "whiteout":
                member.path = (*member.path[:-1], b".wh." + member.path[-1])
            case "opaque":
                member.path = (*member.path[:-1], b".wh..wh..opq")
            case "hard link" if known and (self.lawful or not choose.rarely(4)):
                member.target = b"/".join(choose.one(known))
            case "hard link" if self.lawful:
                member.kind = "file"
            case "hard link":
                member.target = b"/".join(self._path())
            case _:
                self._fill(member)
        return member

    def _fill(self, member: Member) -> None:
        choose = self.choose
        match member.kind:
            case "directory" if choose.rarely(8):
                member.path = ()
            case "symlink":
                member.target = choose.one(_targets(self._path()))
            case "file":
                member.content = choose.one(_CONTENTS)
            case _:
                pass
        member.mode = choose.one(_MODES)
        member.uid, member.gid = choose.one(_IDS), choose.one(_IDS)
        member.time = choose.one(_TIMES)
        for _ in range(choose.number(8) // 6):
            name, values = choose.one(_XATTRS)
            member.xattrs[name] = choose.one(values)


def image(data: bytes) -> list[list[Member]]:
    """The layers of an image, the base first, as these bytes choose."""
    choose = Choices(data)
    layers = 1 + choose.number(4)
    maker = _Maker(choose)
    return [maker.layer() for _ in range(layers)]


IMAGES = st.binary(min_size=240, max_size=600).map(image)


def tar(members: list[Member]) -> bytes:
    """The layer's archive."""
    return b"".join(member.tar() for member in members) + archives.END
