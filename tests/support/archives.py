# SPDX-License-Identifier: LGPL-2.1-or-later
"""Archives for tests: sane ones by tarfile, and headers by hand where tarfile is too decent."""

import io
import tarfile
from collections.abc import Iterable

from atomic_sys.image.layer import read_layer
from atomic_sys.model.layer import Entry
from atomic_sys.model.limits import LayerLimits

END = bytes(1024)
TYPES = {
    "file": tarfile.REGTYPE,
    "directory": tarfile.DIRTYPE,
    "symlink": tarfile.SYMTYPE,
    "hard link": tarfile.LNKTYPE,
    "char": tarfile.CHRTYPE,
    "block": tarfile.BLKTYPE,
    "fifo": tarfile.FIFOTYPE,
}


def padded(content: bytes) -> bytes:
    """The content, filled up to whole blocks."""
    return content + bytes(-len(content) % 512)


def field(value: int, width: int) -> bytes:
    return b"%0*o\0" % (width - 1, value)


def header(
    name: bytes = b"f", flag: bytes = b"0", size: int | bytes = 0, link: bytes = b"", **over: bytes
) -> bytes:
    """One header with a right checksum; `over` replaces fields."""
    block = bytearray(512)

    def put(at: int, value: bytes) -> None:
        block[at : at + len(value)] = value

    put(0, name)
    put(100, over.get("mode", field(0o644, 8)))
    put(108, over.get("uid", field(0, 8)))
    put(116, over.get("gid", field(0, 8)))
    put(124, size if isinstance(size, bytes) else field(size, 12))
    put(136, over.get("mtime", field(0, 12)))
    put(156, flag)
    put(157, link)
    put(257, over.get("magic", b"ustar\x0000"))
    put(345, over.get("prefix", b""))
    put(500, over.get("tail", b""))
    put(148, b"        ")
    put(148, over.get("checksum", b"%06o\0 " % sum(block)))
    return bytes(block)


def pax(records: dict[str, bytes | str], flag: bytes = b"x") -> bytes:
    """An extended header with its records."""
    body = b"".join(
        record(key.encode(), value if isinstance(value, bytes) else value.encode())
        for key, value in records.items()
    )
    return header(b"PaxHeader", flag, len(body)) + padded(body)


def record(key: bytes, value: bytes) -> bytes:
    rest = b" " + key + b"=" + value + b"\n"
    length = len(rest)
    while length != len(rest) + len(str(length)):
        length = len(rest) + len(str(length))
    return str(length).encode() + rest


def long_name(name: bytes, flag: bytes = b"L") -> bytes:
    return header(b"././@LongLink", flag, len(name) + 1) + padded(name + b"\0")


def archive(
    *members: tuple[str, str] | tuple[str, str, str | bytes], format_: int = tarfile.PAX_FORMAT
) -> bytes:
    """(kind, name[, content or target]) by tarfile."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=format_) as tar:
        for kind, name, *rest in members:
            info = tarfile.TarInfo(name)
            info.type = TYPES[kind]
            content = b""
            if rest and kind == "file":
                content = rest[0] if isinstance(rest[0], bytes) else rest[0].encode()
                info.size = len(content)
            elif rest:
                assert isinstance(rest[0], str)
                info.linkname = rest[0]
            tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def read(
    data: bytes | Iterable[bytes], limits: LayerLimits | None = None
) -> list[tuple[Entry, bytes]]:
    """All entries with their content."""
    chunks = [data] if isinstance(data, bytes) else data
    stream = read_layer(chunks, diff_id=None, limits=limits or LayerLimits())
    return [(entry, b"".join(content)) for entry, content in stream]
