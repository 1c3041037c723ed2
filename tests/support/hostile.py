# SPDX-License-Identifier: LGPL-2.1-or-later
"""Layers that want something: out of the rootfs, the machine's memory, or two readings of one file.

Each attack is one image of one or more blobs, with the verdict that it must get: refused with a
line that says this, or checked out as exactly these files. `outside` is a directory full of
canaries, somewhere above.
"""

from dataclasses import dataclass

from tests.support.archives import END, field, header, long_name, padded


@dataclass(frozen=True, slots=True, kw_only=True)
class Attack:
    """An image. What each blob unpacks to is by default the blob itself."""

    blobs: tuple[bytes, ...]
    refused: str | None = None  # a part of the error's line
    left: frozenset[str] = frozenset()  # what is in the checkout, by path
    unpacked: tuple[bytes, ...] | None = None


def refused(why: str, *blobs: bytes, unpacked: bytes | None = None) -> Attack:
    """An attack that must fail, saying this. Archives get the end that they lack."""
    return Attack(
        blobs=blobs, refused=why, unpacked=None if unpacked is None else (unpacked,) * len(blobs)
    )


def harmless(left: str, *blobs: bytes, unpacked: bytes | None = None) -> Attack:
    """An attack that leaves these files and nothing else."""
    return Attack(
        blobs=blobs,
        left=frozenset(left.split()),
        unpacked=None if unpacked is None else (unpacked,),
    )


def tar(*members: bytes) -> bytes:
    return b"".join(members) + END


def file(name: bytes, content: bytes = b"", **over: bytes) -> bytes:
    return header(name, b"0", len(content), **over) + padded(content)


def directory(name: bytes, **over: bytes) -> bytes:
    return header(name, b"5", mode=field(0o755, 8), **over)


def symlink(name: bytes, target: bytes) -> bytes:
    if len(target) > 100:
        return long_name(target, b"K") + header(name, b"2")
    return header(name, b"2", 0, target)


def link(name: bytes, target: bytes) -> bytes:
    if len(target) > 100:
        return long_name(target, b"K") + header(name, b"1")
    return header(name, b"1", 0, target)
