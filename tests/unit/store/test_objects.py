# SPDX-License-Identifier: LGPL-2.1-or-later
"""Objects against bytes that libostree 2022.7 wrote, and damage against the readers."""

import hashlib
import stat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atomic_sys.errors import AtomicSysError, Damaged
from atomic_sys.model.layer import Metadata
from atomic_sys.store import variant
from atomic_sys.store.dirtree import DirTree, decode_dirtree, encode_dirtree
from atomic_sys.store.objects import (
    Commit,
    checksum,
    decode_commit,
    decode_metadata,
    encode_commit,
    encode_metadata,
    file_header,
    valid_name,
)

SETUID_FILE = "b3a634be8f6cb5d3599abc08ab315c1f6cef4358c3a376549b6b6f8047ab0e84"  # "hi\n", 4755
LINK = "6bf149f093047a43e07a147ec06f0251fa2dfcc5c3056e4db6207e83fbb37fe4"  # -> ../x
PLAIN_DIRECTORY = "446a0ef11b7cc167f3b603e585c7eeeeb675faa412d5ec73f62988eb0b6c5488"
SETGID_DIRECTORY = "7761dfd405e93e705e8abc8d40aa86a2c303216cf07185cfc0d55ed5cf605de7"  # 2750, 1:2
EMPTY_TREE = "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"
TREE = "da2ce87d209a1ce06f08e9ed86008a6b4d5580337d97a556c1fa71bed0af2b21"
COMMIT = "969ee0a616ccace93f7de083ebd335274d0b3aeb7e0cf86638857f61c57c81c5"

NAMES = st.text(
    st.characters(codec="utf-8", exclude_characters="/\0"), min_size=1, max_size=60
).filter(valid_name)
CHECKSUMS = st.binary(min_size=32, max_size=32)


def h(digits: str) -> bytes:
    return bytes.fromhex(digits)


def tree() -> DirTree:
    return DirTree(
        files=(("f", h(SETUID_FILE)), ("l", h(LINK))),
        directories=(("d", h(EMPTY_TREE), h(SETGID_DIRECTORY)),),
    )


def commit() -> Commit:
    return Commit(
        metadata={
            "a": ("s", "b"),
            "n": ("t", 5),
            "ostree.ref-binding": ("as", ("x",)),
        },
        timestamp=1,
        subject="subj",
        root_tree=h(TREE),
        root_metadata=h(PLAIN_DIRECTORY),
    )


def test_content_objects() -> None:
    root = Metadata(0, 0, 0o4755)
    assert hashlib.sha256(file_header(root) + b"hi\n").hexdigest() == SETUID_FILE
    assert checksum(file_header(Metadata(0, 0, 0), "../x")).hex() == LINK


def test_metadata_objects() -> None:
    assert checksum(encode_metadata(Metadata(0, 0, 0o755))).hex() == PLAIN_DIRECTORY
    assert checksum(encode_metadata(Metadata(1, 2, 0o2750))).hex() == SETGID_DIRECTORY
    assert checksum(encode_dirtree(DirTree(files=(), directories=()))).hex() == EMPTY_TREE
    assert checksum(encode_dirtree(tree())).hex() == TREE
    assert checksum(encode_commit(commit())).hex() == COMMIT


def test_what_is_written_is_read() -> None:
    metadata = Metadata(1, 2**32 - 2, 0o7777, ((b"user.a", b"1"), (b"user.b", b"\0" * 300)))
    assert decode_metadata(encode_metadata(metadata)) == (metadata, stat.S_IFDIR)
    assert decode_dirtree(encode_dirtree(tree())) == tree()
    assert decode_commit(encode_commit(commit())) == commit()
    assert commit().text("a") == "b"
    assert commit().text("n") is None
    assert commit().text("missing") is None


def test_attributes_are_sorted_and_empty_ones_are_none() -> None:
    mixed = Metadata(0, 0, 0o755, ((b"user.b", b"2"), (b"user.e", b""), (b"user.a", b"1")))
    clean = Metadata(0, 0, 0o755, ((b"user.a", b"1"), (b"user.b", b"2")))
    assert encode_metadata(mixed) == encode_metadata(clean)
    assert file_header(mixed) == file_header(clean)


@given(
    st.dictionaries(NAMES, CHECKSUMS, max_size=20),
    st.dictionaries(NAMES, st.tuples(CHECKSUMS, CHECKSUMS), max_size=20),
)
def test_dirtree_is_its_variant(
    files: dict[str, bytes], directories: dict[str, tuple[bytes, bytes]]
) -> None:
    value = DirTree(
        files=tuple(sorted(files.items())),
        directories=tuple(
            (name, *both) for name, both in sorted(directories.items()) if name not in files
        ),
    )
    content = encode_dirtree(value)
    generic = variant.serialise("(a(say)a(sayay))", (value.files, value.directories))
    assert content == generic
    assert decode_dirtree(content) == value


@pytest.mark.parametrize(
    "files",
    [
        [("..", bytes(32))],
        [(".", bytes(32))],
        [("", bytes(32))],
        [("a/b", bytes(32))],
        [("b", bytes(32)), ("a", bytes(32))],
        [("a", bytes(32)), ("a", bytes(32))],
        [("n" * 256, bytes(32))],
        [("a", bytes(31))],
        [("a", b"")],
    ],
)
def test_a_hostile_directory_is_refused(files: list[tuple[str, bytes]]) -> None:
    content = variant.serialise("(a(say)a(sayay))", (tuple(files), ()))
    with pytest.raises(Damaged):
        decode_dirtree(content)


def test_a_name_of_a_file_and_a_directory_is_refused() -> None:
    both = DirTree(files=(("a", bytes(32)),), directories=(("a", bytes(32), bytes(32)),))
    with pytest.raises(Damaged, match="twice"):
        decode_dirtree(encode_dirtree(both))


@given(st.binary(max_size=200))
def test_no_bytes_break_a_reader(content: bytes) -> None:
    for read in (decode_dirtree, decode_commit, decode_metadata):
        try:
            read(content)
        except Damaged:
            continue


@given(st.integers(min_value=0, max_value=3000), st.integers(min_value=0, max_value=255))
def test_a_changed_byte_is_refused_or_read_as_such(at: int, byte: int) -> None:
    content = bytearray(encode_dirtree(tree()))
    content[at % len(content)] = byte
    try:
        read = decode_dirtree(bytes(content))
    except Damaged:
        return
    assert encode_dirtree(read) == bytes(content)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("(yuxs)", (1, 2, -3, "four")),
        ("(yx)", (1, 2)),
        ("a{sv}", (("i", ("i", -1)), ("n", ("a{sv}", ())))),
        ("au", (1, 2, 3)),
        ("as", tuple(str(i) * 50 for i in range(40))),
        ("(sss)", ("a" * 70_000, "b", "c")),
        ("()", ()),
    ],
)
def test_variants(kind: str, value: variant.Variant) -> None:
    assert variant.deserialise(kind, variant.serialise(kind, value)) == value


@pytest.mark.parametrize("kind", ["", "(", "a", "m", "ss", "(s", "z", "a" * 40 + "s", "(" * 40])
def test_unknown_types_are_damage(kind: str) -> None:
    with pytest.raises(Damaged):
        variant.deserialise("v", b"x\0\0" + kind.encode())


def test_a_value_of_another_type_is_a_mistake_of_ours() -> None:
    with pytest.raises(TypeError):
        variant.serialise("s", 5)


@pytest.mark.parametrize("parent", [b"x", bytes(31)])
def test_a_commit_with_a_short_checksum_is_refused(parent: bytes) -> None:
    for changed in (
        Commit(
            metadata={}, timestamp=0, root_tree=bytes(32), root_metadata=bytes(32), parent=parent
        ),
        Commit(metadata={}, timestamp=0, root_tree=parent, root_metadata=bytes(32)),
    ):
        with pytest.raises(Damaged):
            decode_commit(encode_commit(changed))


@pytest.mark.parametrize(
    "metadata",
    [
        Metadata(-1, 0, 0),
        Metadata(0, 2**32 - 1, 0),
        Metadata(2**40, 0, 0),
        Metadata(0, 0, 0o10000),
        Metadata(0, 0, -1),
    ],
)
def test_impossible_owners_and_modes_are_refused(metadata: Metadata) -> None:
    for encode in (file_header, encode_metadata):
        with pytest.raises(AtomicSysError, match="no file can have"):
            encode(metadata)


def test_an_attribute_without_its_end_is_refused() -> None:
    content = variant.serialise("(uuua(ayay))", (0, 0, 0xED410000, ((b"user.a", b"1"),)))
    with pytest.raises(Damaged, match="has no end"):
        decode_metadata(content)


@pytest.mark.parametrize(
    ("kind", "content"),
    [
        ("s", b"a"),
        ("s", b"a\0b\0"),
        ("s", b"\xff\0"),
        ("as", b"\xff"),
        ("as", b"a\0\x05"),
        ("as", b"a\0b\0\x04\x02\x04"),
        ("as", b"a\0b\0\x05\x04"),
        ("(ss)", b"a\0b\0\x09"),
        ("(us)", b"\0"),
        ("au", b"\0\0\0"),
        ("(yu)", b"\1\1\1\1\1\1\1\1"),
        ("u", b""),
    ],
)
def test_what_is_not_in_normal_form_is_damage(kind: str, content: bytes) -> None:
    with pytest.raises(Damaged):
        variant.deserialise(kind, content)


def test_a_deep_variant_is_damage() -> None:
    value: variant.Variant = ("s", "x")
    for _ in range(20):
        value = ("v", value)
    with pytest.raises(Damaged, match="deep"):
        variant.deserialise("v", variant.serialise("v", value))


@pytest.mark.parametrize(
    "content",
    [
        b"\xff\x03\x03",
        b"a\0" + bytes(33) + b"\x02\x00\x25",
        b"\1\1",  # an array without an element that has a byte all the same
    ],
)
def test_broken_framing_is_damage(content: bytes) -> None:
    with pytest.raises(Damaged):
        decode_dirtree(content)


def test_offsets_that_are_wider_than_they_need_be_are_damage() -> None:
    names = ["a", "b", "c", "d", "e", "f", "ggg"]
    content = encode_dirtree(DirTree(files=tuple((n, bytes(32)) for n in names), directories=()))
    assert len(content) == 255  # by one byte less than what takes offsets of two
    with pytest.raises(Damaged, match="framing"):
        decode_dirtree(content[:-1] + b"\xfe\0")
    elements = b"".join(name.encode() + bytes(33) + b"\2" for name in names[:6])
    ends = b"".join((35 * count).to_bytes(2, "little") for count in range(1, 7))
    files = elements + b"ggg" + bytes(33) + b"\4" + ends + (247).to_bytes(2, "little")
    with pytest.raises(Damaged, match="framing"):
        decode_dirtree(files + len(files).to_bytes(2, "little"))


@given(st.integers(1, 255), st.integers(1, 255), st.integers(0, 40))
def test_names_of_every_length(length: int, other: int, more: int) -> None:
    names = sorted({"a" * length, "b" * other, *(f"c{number}" for number in range(more))})
    for value in (
        DirTree(files=tuple((name, bytes(32)) for name in names), directories=()),
        DirTree(files=(), directories=tuple((name, bytes(32), b"m" * 32) for name in names)),
    ):
        content = encode_dirtree(value)
        assert content == variant.serialise("(a(say)a(sayay))", (value.files, value.directories))
        assert decode_dirtree(content) == value
