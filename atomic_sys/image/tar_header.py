# SPDX-License-Identifier: LGPL-2.1-or-later
"""The 512 bytes before each member of a tar archive, and the records that extend them; pure.

What two readers could take for two things is refused. Sources: POSIX pax ("ustar Interchange
Format", "pax Extended Header"), GNU tar manual ("Basic Tar Format"), star(5).
"""

import functools
import struct
import zlib
from enum import IntEnum
from typing import NamedTuple

from atomic_sys.errors import AtomicSysError
from atomic_sys.model.layer import Metadata, Xattrs
from atomic_sys.model.limits import LimitSetting
from atomic_sys.model.manifest import MAX_SIZE

BLOCK = 512  # bytes
ZERO_BLOCK = bytes(BLOCK)
_ADLER_MODULUS = 65521
_MAX_NUMBER_DIGITS = 20
_MAX_ID = (1 << 32) - 2  # the last one means "no such id" to the kernel
XATTR = b"SCHILY.xattr."
_CAPABILITY = b"security.capability"
_CAPABILITY_SIZES = {2: 20, 3: 24}  # bytes, by revision (linux/capability.h)
_XATTR_LIMIT = 1 << 16  # bytes of a value; what Linux allows
_SPACES = b" " * 8  # what the checksum itself counts for
# Name, the fields of metadata(), size, checksum, type, target, and from the prefix on all the rest.
_PLAIN = struct.Struct("100s24s12s12x8sB100s88x167s")
_NO_TARGET, _NO_REST = bytes(100), bytes(167)


class Kind(IntEnum):
    """The type flags that we know."""

    OLD_REGULAR = 0
    REGULAR = ord("0")
    HARD_LINK = ord("1")
    SYMLINK = ord("2")
    CHARACTER_DEVICE = ord("3")
    BLOCK_DEVICE = ord("4")
    DIRECTORY = ord("5")
    FIFO = ord("6")
    CONTIGUOUS = ord("7")


class Member(NamedTuple):
    """A member as the archive has it, names unchecked. A tuple, since one is made for each file."""

    kind: Kind
    name: bytes
    target: bytes
    size: int
    metadata: Metadata


_FILE = Kind.REGULAR  # by the class it would be a call each time
_PLAIN_KINDS = {int(kind): kind for kind in (Kind.REGULAR, Kind.DIRECTORY)}


class InvalidLayer(AtomicSysError):
    """A layer that is no tar archive, or holds what an image must not hold."""


class LimitExceeded(InvalidLayer):
    """A layer that would cost more than the limits allow."""


def exceeded(what: str, setting: LimitSetting) -> LimitExceeded:
    """The error that says what is over the limit, and which setting of atomic.conf it is."""
    return LimitExceeded(
        f"{what} ({setting.name})",
        hint=f"/etc/atomic.conf can set {setting.name} to {setting.most} at most",
    )


def plain(header: bytes) -> Member | None:
    """The member of a header that is as nearly everybody writes that of a file or a directory.

    None for any other, and for one that is wrong: it takes all of a second look. Raises
    InvalidLayer. What it saves is half of the time that a header takes.
    """
    name, owner_and_mode, size_field, sum_field, flag, target, rest = _PLAIN.unpack(header)
    kind = _PLAIN_KINDS.get(flag)
    if kind is None or target != _NO_TARGET or rest != _NO_REST:
        return None
    # adler32 sums bytes in C, but modulo 65521: with more than half of them zero that is exact.
    if zlib.adler32(header) - 1 & 0xFFFF != _plain_sum(sum_field):
        return None
    size = number(size_field, "size") if kind is _FILE else 0
    if size > MAX_SIZE:
        return None
    # As Member(...) makes it, in a third of the time.
    fields = kind, name.partition(b"\0")[0], b"", size, metadata(owner_and_mode)
    return tuple.__new__(Member, fields)


@functools.lru_cache(maxsize=8192)
def _plain_sum(field: bytes) -> int:
    """What the bytes of a header must sum up to if this is its checksum, itself counted too."""
    return number(field, "checksum") - sum(_SPACES) + sum(field)


def check_sum(header: bytes) -> None:
    """Raises InvalidLayer unless the header's checksum is right, summed unsigned or signed.

    adler32 sums bytes in C, but modulo 65521: with more than half of the bytes zero that is exact.
    """
    field = header[148:156]
    summed = header[:148] + _SPACES + header[156:]
    sparse = header.count(0) > BLOCK // 2
    total = zlib.adler32(summed) - 1 & 0xFFFF if sparse else sum(summed)
    if field[:6].isdigit() and field[6:] == b"\0 ":  # as nearly everybody writes it
        stored = number(field[:7], "checksum")
    else:
        stored = number(field, "checksum")
    if stored != total:
        signed = total - 256 * sum(1 for b in header[:148] + header[156:] if b > 127)
        if stored != signed:
            raise InvalidLayer("not a tar header: its checksum is wrong")


def number(field: bytes, what: str) -> int:
    """The number in a header field: octal digits, or base 256 when the highest bit is set.

    Raises InvalidLayer for anything else, a negative number included.
    """
    digits = field[:-1]
    if digits.isdigit() and field[-1] == 0:  # as nearly everybody writes it
        try:
            return int(digits, 8)
        except ValueError:
            raise InvalidLayer(f"{what} is no octal number: {digits!r}") from None
    if field[0] & 0x80:
        if field[0] & 0x40:
            raise InvalidLayer(f"negative {what}")
        return int.from_bytes(field, "big") - (0x80 << 8 * (len(field) - 1))
    digits = field.strip(b" \0").partition(b"\0")[0].rstrip(b" ")
    if not digits:
        return 0
    try:
        if digits.isdigit():
            return int(digits, 8)
    except ValueError:  # an 8 or a 9
        pass
    raise InvalidLayer(f"{what} is no octal number: {digits!r}")


def text(field: bytes) -> bytes:
    """The bytes of a field up to its first NUL."""
    end = field.find(0)
    return field if end < 0 else field[:end]


def full_name(header: bytes) -> bytes:
    """The name in the header itself; where there is a prefix depends on the format."""
    name = text(header[:100])
    if header[345] == 0 or header[257:263] != b"ustar\0":
        return name  # GNU keeps times in the place of the prefix
    end = 476 if header[508:512] == b"tar\0" else 500  # star keeps times at its end
    return text(header[345:end]) + b"/" + name


@functools.lru_cache(maxsize=4096)
def metadata(fields: bytes) -> Metadata:
    """Owner and mode, of the 24 bytes that hold them. The same few come over and over."""
    return Metadata(
        owner(number(fields[8:16], "uid")),
        owner(number(fields[16:24], "gid")),
        number(fields[:8], "mode") & 0o7777,
    )


def owner(value: int) -> int:
    """The uid or gid. Raises InvalidLayer when Linux has no such id."""
    if value > _MAX_ID:
        raise InvalidLayer(f"impossible uid or gid {value}")
    return value


def pax_records(body: bytes) -> dict[bytes, bytes]:
    """The `LENGTH KEY=VALUE` records of an extended header; of equal keys the last one holds.

    Raises InvalidLayer.
    """
    records: dict[bytes, bytes] = {}
    at = 0
    while at < len(body):
        space = body.find(b" ", at, at + _MAX_NUMBER_DIGITS)
        length = body[at:space]
        end = at + int(length) if space > at and length.isdigit() else 0
        key, equals, value = body[space + 1 : end - 1].partition(b"=")
        if not (space < end <= len(body)) or body[end - 1 : end] != b"\n" or not (key and equals):
            raise InvalidLayer("malformed extended header")
        if key.startswith(b"GNU.sparse."):
            raise InvalidLayer("sparse files are not supported")
        records[key] = value
        at = end
    return records


def pax_number(value: bytes, what: str) -> int:
    """A decimal number of an extended header. Raises InvalidLayer for anything else."""
    if not value.isdigit() or len(value) > _MAX_NUMBER_DIGITS:
        raise InvalidLayer(f"{what} is no number: {value[:_MAX_NUMBER_DIGITS]!r}")
    return int(value)


def pax_name(value: bytes, what: str) -> bytes:
    """A path of an extended header. Raises InvalidLayer when it has a NUL in it."""
    if b"\0" in value:
        raise InvalidLayer(f"a NUL in the {what}")
    return value


def pax_xattrs(records: dict[bytes, bytes]) -> Xattrs:
    """The extended attributes that an image may bring, sorted by name.

    Others are dropped: `trusted.` and `security.` ones speak to the host's kernel, and overlayfs
    takes some for its own. Raises InvalidLayer.
    """
    found = []
    for key, value in records.items():
        name = key.removeprefix(XATTR)
        allowed = name == _CAPABILITY or (name[:5] == b"user." and name != b"user.")
        if key.startswith(XATTR) and allowed:
            if b"\0" in name or len(name) > 255 or len(value) > _XATTR_LIMIT:
                raise InvalidLayer(f"impossible extended attribute {name[:255]!r}")
            found.append((name, _capability(value) if name == _CAPABILITY else value))
    return tuple(sorted(found))


def _capability(value: bytes) -> bytes:
    """File capabilities as Linux gives them back: for the root user, without the user's number.

    An object must be what is read from its file. Raises InvalidLayer for what Linux refuses.
    """
    if not value:
        return value
    magic = int.from_bytes(value[:4], "little")
    revision, effective = magic >> 24, magic & 0xFFFFFF
    if effective > 1 or len(value) != _CAPABILITY_SIZES.get(revision):
        raise InvalidLayer("impossible file capabilities")
    if len(value) == _CAPABILITY_SIZES[3] and value[20:] == bytes(4):
        return bytes((effective, 0, 0, 2)) + value[4:20]
    return value
