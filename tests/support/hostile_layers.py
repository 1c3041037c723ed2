# SPDX-License-Identifier: LGPL-2.1-or-later
"""Hostile layers: names, links, whiteouts and types that lead elsewhere than they seem to."""

from collections.abc import Mapping

from tests.support.archives import header, long_name, pax
from tests.support.hostile import Attack, directory, file, harmless, link, refused, symlink, tar


def attacks(outside: bytes) -> Mapping[str, Attack]:
    """All of them by name; `outside` is a directory full of canaries, somewhere above."""
    return {**_paths(outside), **_links(outside), **_whiteouts(outside), **_types()}


def _paths(outside: bytes) -> dict[str, Attack]:
    dots = r"'..' in a name"
    many = b"../" * 30
    inside = outside.decode().strip("/").split("/")
    way = " ".join("/".join(inside[: depth + 1]) for depth in range(len(inside)))
    return {
        "parent": refused(dots, tar(file(b"../canary", b"x"))),
        "parents": refused(dots, tar(file(many + outside[1:] + b"/canary", b"x"))),
        "parent, absolute": refused(dots, tar(file(b"/../../canary", b"x"))),
        "parent inside": refused(dots, tar(file(b"a/../../canary", b"x"))),
        "parent alone": refused(dots, tar(directory(b".."))),
        "parent behind a dot": refused(dots, tar(file(b"./../canary", b"x"))),
        "parent at the end": refused(dots, tar(directory(b"a/.."))),
        "parent by pax": refused(dots, tar(pax({"path": b"../canary"}), file(b"f"))),
        "parent by long name": refused(dots, tar(long_name(b"../canary"), file(b"f"))),
        "parent in the prefix": refused(dots, tar(file(b"canary", b"x", prefix=b".."))),
        "absolute": harmless(
            f"{way} {way.split()[-1]}/canary",
            tar(long_name(outside + b"/canary"), file(b"f", b"x")),
        ),
        "slashes": harmless("canary", tar(file(b"////canary", b"x"))),
        "no name": refused("without a name", tar(file(b""))),
        "NUL": refused("a NUL in the path", tar(pax({"path": b"a\0/../b"}), file(b"f"))),
        "not UTF-8": refused("not UTF-8", tar(file(b"caf\xe9"))),
        "terminal's codes": refused(dots, tar(file(b"\x1b]0;x\x07\n\r../../\x1b[2J/../x"))),
        "long component": refused("more than 255 bytes", tar(long_name(b"n" * 256), file(b"f"))),
        "long directory": refused(
            "more than 255 bytes", tar(long_name(b"n" * 256 + b"/f"), file(b"f"))
        ),
        "long path": refused(
            "a name of 8001 bytes", tar(long_name(b"a/" * 4000 + b"f"), file(b"f"))
        ),
        "deep path": refused("directories deep", tar(long_name(b"d/" * 300 + b"f"), file(b"f"))),
        "as deep as can be": harmless(
            " ".join(("d/" * n)[:-1] for n in range(1, 201)) + " " + "d/" * 200 + "f",
            tar(long_name(b"d/" * 200 + b"f"), file(b"f")),
        ),
    }


def _links(outside: bytes) -> dict[str, Attack]:
    canary = outside + b"/canary"
    evil = tar(symlink(b"evil", outside))
    up = tar(symlink(b"up", b"../" * 30 + outside[1:]))
    below = "is below a file, or is one as well"
    nothing = "is a hard link to nothing"
    return {
        "write through a link": refused(
            below, tar(symlink(b"evil", outside), file(b"evil/canary", b"x"))
        ),
        "link over its files": refused(
            "at once", tar(file(b"evil/canary", b"x"), symlink(b"evil", outside))
        ),
        "write through a lower link": harmless(
            "evil evil/canary", evil, tar(file(b"evil/canary", b"x"))
        ),
        "write through a relative link": harmless(
            "up up/canary", up, tar(file(b"up/canary", b"x"))
        ),
        "directory over a link": harmless("evil", evil, tar(directory(b"evil"))),
        "mode through a link": harmless("evil evil/new", evil, tar(header(b"evil/new", b"5"))),
        "file over a link": harmless("evil", evil, tar(file(b"evil", b"x"))),
        "link to the root": harmless(
            "l l2 etc etc/passwd",
            tar(symlink(b"l", b"/"), symlink(b"l2", b"../../../..")),
            tar(directory(b"etc")),
            tar(file(b"l/l2/etc/passwd", b"x")),
        ),
        "chain of links": harmless(
            "a b c a/canary",
            tar(symlink(b"a", b"b"), symlink(b"b", b"c"), symlink(b"c", outside)),
            tar(file(b"a/canary", b"x")),
        ),
        "ever deeper links": refused(
            "too deep, by way of links",
            tar(long_name(b"d/" * 200), directory(b"d"), symlink(b"l", b"d/" * 200)),
            tar(long_name(b"l/" + b"d/" * 200), directory(b"d")),
        ),
        "loop": harmless(
            "a a/x b", tar(symlink(b"a", b"b"), symlink(b"b", b"a")), tar(file(b"a/x"))
        ),
        "link to itself": harmless("a", tar(symlink(b"a", b"a")), tar(file(b"a/.wh.x"))),
        "link to nothing": refused("a link to nothing", tar(symlink(b"a", b""))),
        "link with a long target": refused("a name of 5000 bytes", tar(symlink(b"a", b"x" * 5000))),
        "hard link to outside": refused(nothing, tar(link(b"h", canary))),
        "hard link to a parent": refused(
            r"'..' in a name", tar(link(b"h", b"../" * 30 + canary[1:]))
        ),
        "hard link behind a link": refused(nothing, evil, tar(link(b"h", b"evil/canary"))),
        "hard link to a link": harmless(
            "l h",
            tar(symlink(b"l", canary), link(b"h", b"l")),
            tar(file(b"h", b"x")),
        ),
        "write to a linked link": harmless(
            "l h", tar(symlink(b"l", canary), link(b"h", b"l"), file(b"h", b"x"))
        ),
        "hard link over a directory": refused(
            "at once", tar(directory(b"d"), file(b"f"), link(b"d", b"f"))
        ),
        "hard link to a directory": refused("hard link", tar(directory(b"d"), link(b"h", b"d"))),
        "hard link to itself": refused("to itself", tar(link(b"h", b"h"))),
        "hard links in a circle": refused(nothing, tar(link(b"a", b"b"), link(b"b", b"a"))),
        "hard link to the root": refused("a hard link to", tar(link(b"h", b"/"))),
        "hard link to a whiteout": refused(
            "a hard link to", tar(file(b".wh.a"), link(b"h", b".wh.a"))
        ),
        "file below a hard link": refused(below, tar(file(b"f"), link(b"h", b"f"), file(b"h/x"))),
        "link as the root": refused("the root of the layer", tar(symlink(b"./", outside))),
        "link in the place of the deployment": harmless(
            "rootfs", tar(symlink(b"rootfs", outside)), tar(directory(b"rootfs"))
        ),
    }


def _whiteouts(outside: bytes) -> dict[str, Attack]:
    base = tar(directory(b"d"), file(b"d/f", b"x"), symlink(b"evil", outside), file(b"top"))
    cannot = "impossible whiteout"
    return {
        "whiteout of nothing": refused(cannot, tar(file(b".wh."))),
        "whiteout of a dot": refused(cannot, tar(file(b".wh.."))),
        "whiteout of the parent": refused(cannot, base, tar(file(b"d/.wh..."))),
        "whiteout of a whiteout": refused(cannot, tar(file(b".wh..wh.a"))),
        "opaque below opaque": refused("a directory cannot be", tar(file(b".wh..wh..opq/f"))),
        "file below a whiteout": refused("a directory cannot be", base, tar(file(b".wh.d/f"))),
        "whiteout directory": refused("a directory cannot be", base, tar(file(b"d/.wh.../f"))),
        "whiteout above": refused(r"'..' in a name", tar(file(b"../.wh.canary"))),
        "whiteout through a link": harmless(
            "d d/f evil top", base, tar(file(b"evil/.wh.canary"), file(b"evil/.wh.sub"))
        ),
        "opaque through a link": harmless("d d/f evil top", base, tar(file(b"evil/.wh..wh..opq"))),
        "opaque root": harmless("new", base, tar(file(b".wh..wh..opq"), file(b"new"))),
        "whiteout of a link": harmless("d d/f top", base, tar(file(b".wh.evil"))),
        "whiteout with content": harmless("d d/f evil", base, tar(file(b".wh.top", b"x" * 600))),
    }


def _types() -> dict[str, Attack]:
    unknown = "are not supported"
    return {
        "root as a file": refused("the root of the layer", tar(file(b"./"))),
        "file named like a directory": refused("named like a directory", tar(file(b"f/"))),
        "file and directory": refused("at once", tar(directory(b"a/b"), file(b"a"))),
        "file below a file": refused("below a file", tar(file(b"a"), file(b"a/b"))),
        "device": harmless("f", tar(header(b"sda", b"4"), file(b"f"))),
        "device as a directory": refused("at once", tar(header(b"dev", b"3"), file(b"dev/null"))),
        "lower device as a directory": harmless(
            "dev dev/null", tar(header(b"dev", b"3")), tar(file(b"dev/null"))
        ),
        "device over a file": harmless("", tar(file(b"f")), tar(header(b"f", b"3"))),
        "hard link to a device": harmless("", tar(header(b"sda", b"4"), link(b"disk", b"sda"))),
        "FIFO": harmless("", tar(header(b"pipe", b"6"))),
        "directory with content": harmless(
            "d hidden", tar(header(b"d", b"5", 512), file(b"hidden"))
        ),
        **{
            f"type {flag!r}": refused(unknown, tar(header(b"f", flag.encode(), 0)))
            for flag in ("S", "M", "D", "V", "N", "A", "X", "Z", "\x01")
        },
    }
