# SPDX-License-Identifier: LGPL-2.1-or-later
"""Hostile layers: archives and compressed streams that lie about themselves, or end too early."""

import gzip
import zlib
from collections.abc import Mapping

from tests.support.archives import field, header, long_name, padded, pax, record
from tests.support.hostile import Attack, file, harmless, link, refused, symlink, tar

MIB = 1 << 20
ZSTD = b"\x28\xb5\x2f\xfd"


def attacks(outside: bytes) -> Mapping[str, Attack]:
    """All of them by name; `outside` is a directory full of canaries, somewhere above."""
    return {
        **_headers(),
        **_extensions(outside),
        **_attributes(),
        **_ends(),
        **_compressed(),
    }


def _headers() -> dict[str, Attack]:
    return {
        "negative size": refused("negative size", tar(header(size=b"\xff" * 12))),
        "huge size": refused("impossible size", tar(header(size=b"\x80" + b"\x7f" * 11))),
        "size of a disk": refused("bytes are free", tar(header(size=1 << 50))),
        "size of nothing": refused("cut off", tar(header(size=1 << 30))),
        "no octal size": refused("no octal number", tar(header(size=b"0x1\0"))),
        "wrong checksum": refused("checksum is wrong", tar(header(checksum=b"000001\0 "))),
        "no checksum": refused("checksum", tar(header(checksum=b"\0" * 8))),
        "no owner": refused("impossible uid", tar(header(uid=b"\x80\0\0\0\xff\xff\xff\xff"))),
        "negative owner": refused("negative gid", tar(header(gid=b"\xff" * 8))),
        "huge owner": refused("impossible uid", tar(header(uid=b"\x80\0\0\1\0\0\0\0"))),
        "letters as mode": refused("mode is no octal", tar(header(mode=b"rwxr-xr-"))),
        "no archive": refused("checksum", b"<html>" + b"x" * 2000),
        "nothing at all": harmless("", b""),
        "set-user-ID": harmless("sh", tar(file(b"sh", b"x", mode=field(0o6755, 8)))),
    }


def _extensions(outside: bytes) -> dict[str, Attack]:
    sparse = "sparse files are not supported"
    two = "two extended headers"
    long = header(b"x", b"x", 2 * MIB) + bytes(2 * MIB)
    hidden = file(b"hidden", b"x")
    return {
        "huge pax header": refused("an extended header of 2097152 bytes", tar(long, file(b"f"))),
        "pax header of a disk": refused("an extended header of", tar(header(b"x", b"x", 1 << 32))),
        "negative pax header": refused("negative", tar(header(b"x", b"x", b"\xff" * 12))),
        "huge long name": refused("an extended header of", tar(header(b"x", b"L", 1 << 30))),
        "pax size too large": refused("cut off", tar(pax({"size": "9999999"}), file(b"f", b"x"))),
        "pax size too small": refused("checksum", tar(pax({"size": "0"}), file(b"f", b"x" * 512))),
        "pax size hides a file": harmless("f", tar(pax({"size": "1024"}), header(b"f") + hidden)),
        "pax size bares a file": harmless(
            "f hidden", tar(pax({"size": "0"}), header(b"f", b"0", 1024) + hidden)
        ),
        "pax size of a directory": harmless(
            "d f", tar(pax({"size": "512"}), header(b"d", b"5"), file(b"f"))
        ),
        "negative pax size": refused("size is no number", tar(pax({"size": "-1"}), file(b"f"))),
        "huge pax size": refused("impossible size", tar(pax({"size": str(1 << 62)}), file(b"f"))),
        "empty pax path": harmless("f", tar(pax({"path": ""}), file(b"f"))),
        "pax paths, the bad one last": refused(
            r"'..' in a name", tar(_records((b"path", b"ok"), (b"path", b"../x")), file(b"f"))
        ),
        "pax paths, the bad one first": harmless(
            "ok", tar(_records((b"path", b"../x"), (b"path", b"ok")), file(b"f"))
        ),
        "pax linkpath of a file": harmless("f", tar(pax({"linkpath": outside}), file(b"f", b"x"))),
        "pax linkpath over a link": refused(
            "hard link to nothing", tar(file(b"f"), pax({"linkpath": outside}), link(b"h", b"f"))
        ),
        "NUL in a linkpath": refused(
            "a NUL in the linkpath", tar(pax({"linkpath": b"a\0b"}), symlink(b"l", b"x"))
        ),
        "two pax headers": refused(two, tar(pax({"path": "a"}), pax({"path": "b"}), file(b"f"))),
        "chain of long names": refused(two, tar(*[long_name(b"a")] * 3, file(b"f"))),
        "chain of long links": refused(two, tar(*[long_name(b"a", b"K")] * 3, symlink(b"f", b"x"))),
        "pax and a long name": refused(
            "two long names", tar(pax({"path": "a"}), long_name(b"b"), file(b"f"))
        ),
        "empty long name": refused("an empty long name", tar(long_name(b""), file(b"f"))),
        "pax at the end": refused("at the end of the tar", tar(pax({"path": "a"}))),
        "global path": refused("sets path", tar(pax({"path": "../x"}, b"g"), file(b"f"))),
        "global size": refused("sets size", tar(pax({"size": "512"}, b"g"), file(b"f"))),
        "malformed record": refused(
            "malformed", tar(header(b"x", b"x", 9) + padded(b"99 path=x"), file(b"f"))
        ),
        "record of nothing": refused(
            "malformed", tar(header(b"x", b"x", 4) + padded(b"0 =\n"), file(b"f"))
        ),
        "sparse 0.0": refused(
            sparse,
            tar(
                _records(
                    (b"GNU.sparse.size", b"9"),
                    (b"GNU.sparse.numblocks", b"1"),
                    (b"GNU.sparse.offset", b"99999999"),
                    (b"GNU.sparse.numbytes", b"1"),
                ),
                file(b"f"),
            ),
        ),
        "sparse 0.1": refused(
            sparse, tar(pax({"GNU.sparse.map": "0,1,99999999999,1"}), file(b"f", b"xx"))
        ),
        "sparse 1.0": refused(
            sparse,
            tar(
                pax({
                    "GNU.sparse.major": "1",
                    "GNU.sparse.minor": "0",
                    "GNU.sparse.name": "../x",
                    "GNU.sparse.realsize": "1",
                }),
                file(b"f", b"1\n0\n9999\n"),
            ),
        ),
    }


def _records(*pairs: tuple[bytes, bytes]) -> bytes:
    """An extended header that says a key twice, or in this order."""
    body = b"".join(record(key, value) for key, value in pairs)
    return header(b"PaxHeader", b"x", len(body)) + padded(body)


def _attributes() -> dict[str, Attack]:
    def on_file(**records: bytes) -> bytes:
        named = {f"SCHILY.xattr.{k.replace('__', '.')}": v for k, v in records.items()}
        return tar(pax({**named}), file(b"f", b"x"))

    return {
        "overlayfs's own": harmless("f", on_file(trusted__overlay__opaque=b"y")),
        "a label": harmless("f", on_file(security__selinux=b"system_u:object_r:shadow_t:s0\0")),
        "an ACL": harmless("f", on_file(system__posix_acl_access=b"\2\0\0\0")),
        "an integrity hash": harmless("f", on_file(security__ima=b"x", security__evm=b"y")),
        "no capabilities": refused(
            "impossible file capabilities", on_file(security__capability=b"x")
        ),
        "ostree's own": harmless("f", on_file(user__ostreemeta=b"x")),
        "a huge value": refused("impossible extended attribute", on_file(user__a=b"x" * 70_000)),
        "a long name": refused(
            "impossible extended attribute", on_file(**{"user__" + "a" * 255: b"x"})
        ),
        "a NUL in a name": refused(
            "impossible extended attribute", on_file(**{"user__a\0b": b"x"})
        ),
        "a user's on a link": harmless(
            "l", tar(pax({"SCHILY.xattr.user.a": "x"}), symlink(b"l", b"x"))
        ),
    }


def _ends() -> dict[str, Attack]:
    whole = tar(pax({"path": "p"}), file(b"f", b"x" * 700), long_name(b"l"), file(b"g"))
    cut = "cut off"
    return {
        "cut in a pax header": refused(cut, whole[:100]),
        "cut in pax records": refused(cut, whole[:515]),
        "cut behind pax records": refused("at the end of the tar", whole[:1024]),
        "cut in a header": refused(cut, whole[:1200]),
        "cut behind a header": refused(cut, whole[:1536]),
        "cut in a content": refused(cut, whole[:2000]),
        "cut in a long name": refused(cut, whole[:3073]),
        "cut behind a long name": refused("at the end of the tar", whole[:3584]),
        "cut before the end": harmless("p l", whole[:-1024]),
        "a lone zero block": refused(
            "a lone zero block", file(b"f") + bytes(512) + tar(file(b"g"))
        ),
        "something behind": refused("after the end", tar(file(b"f")) + file(b"g")),
        "something far behind": refused("after the end", tar(file(b"f")) + bytes(MIB) + b"x"),
    }


def _compressed() -> dict[str, Attack]:
    # A layer whose diff id is in the store is not fetched: what is refused must never get there.
    plain = tar(file(b"f", b"refused"))
    packed = gzip.compress(plain, mtime=0)
    good, better = tar(file(b"f", b"gzip")), tar(file(b"f", b"zstd"))
    zeros = plain + bytes(64 * MIB)
    bomb = gzip.compress(zeros, mtime=0)
    half = gzip.compress(good[:700], mtime=0) + gzip.compress(good[700:], mtime=0)
    frame = zstd_frame(plain)
    zstd_zeros = zstd_frame(better) + zstd_zeros_frames(64 * MIB)
    skippable = b"\x50\x2a\x4d\x18" + (5).to_bytes(4, "little") + b"12345"
    raw = zlib.compress(plain)
    return {
        "gzip bomb": harmless("f", bomb, unpacked=zeros),
        "gzip in gzip": refused(
            "the tar archive is cut off", gzip.compress(packed, mtime=0), unpacked=packed
        ),
        "gzip in two members": harmless("f", half, unpacked=good),
        "gzip and something": refused("gzip data", packed + b"something", unpacked=plain),
        "gzip cut off": refused("gzip data is cut off", packed[:-9], unpacked=plain),
        "gzip with a wrong sum": refused("damaged gzip", packed[:-8] + bytes(8), unpacked=plain),
        "gzip of another layer": refused("not the one with the diff id", packed, unpacked=b"other"),
        "zstd bomb": harmless("f", zstd_zeros, unpacked=better + bytes(64 * MIB)),
        "zstd cut off": refused("zstd data is cut off", frame[:-1], unpacked=plain),
        "zstd and something": refused("zstd data", frame + b"something", unpacked=plain),
        "zstd with a bad block": refused("zstd data", frame[:14] + b"\xff" * 9, unpacked=plain),
        "zstd with a huge window": refused(
            "zstd data", ZSTD + b"\x00\xf8" + b"\1\0\0", unpacked=b"never"
        ),
        "zstd with a dictionary": refused(
            "zstd data", ZSTD + b"\x21\x07\x00\x01\0\0", unpacked=b"never"
        ),
        "zstd with skippable frames": harmless(
            "f", skippable + zstd_frame(better) + skippable, unpacked=better
        ),
        "xz": refused("xz are not supported", b"\xfd7zXZ\0" + bytes(100), unpacked=plain),
        "bzip2": refused("bzip2 are not supported", b"BZh91AY&SY" + bytes(100), unpacked=plain),
        "zlib": refused("checksum", raw + bytes(1024), unpacked=plain),
    }


def zstd_frame(content: bytes) -> bytes:
    """A frame with one raw block (RFC 8878), for no library is needed to make it."""
    header_ = ZSTD + b"\xa0" + len(content).to_bytes(4, "little")
    return header_ + (len(content) << 3 | 1).to_bytes(3, "little") + content


def zstd_zeros_frames(size: int) -> bytes:
    """So many zeros in frames of repeated bytes: 128 KiB for four bytes."""
    block = 1 << 17
    middle = (block << 3 | 2).to_bytes(3, "little") + b"\0"
    last = (block << 3 | 3).to_bytes(3, "little") + b"\0"
    return ZSTD + b"\x00\x38" + middle * (size // block - 1) + last
