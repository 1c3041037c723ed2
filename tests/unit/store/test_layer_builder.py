# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a layer may make us remember besides its tree, and files one after the other."""

import pytest

from atomic_sys.model.layer import (
    Directory,
    Entry,
    HardLink,
    Metadata,
    OpaqueWhiteout,
    RegularFile,
    SpecialFile,
    Whiteout,
)
from atomic_sys.store import layer_builder
from atomic_sys.store.layer_builder import LayerBuilder
from atomic_sys.store.tree import InvalidLayer, find

META = Metadata(0, 0, 0o755)
A, B = b"a" * 32, b"b" * 32


@pytest.mark.parametrize(
    "entry",
    [
        RegularFile(("directory", "implied", "f"), META, 0),
        HardLink(("a", "far", "link"), ("target",)),
        Whiteout(("whiteout", "x")),
        OpaqueWhiteout(("opaque", "whiteout")),
        SpecialFile(("some", "device"), "fifo"),
    ],
)
def test_paths_besides_the_tree(entry: Entry, monkeypatch: pytest.MonkeyPatch) -> None:
    LayerBuilder().add(entry, A)
    monkeypatch.setattr(layer_builder, "_MOST_KEPT", 10)
    with pytest.raises(InvalidLayer, match="too many whiteouts"):
        LayerBuilder().add(entry, A)


def test_attributes_of_directories(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layer_builder, "_MOST_ATTRIBUTES", 20)
    builder = LayerBuilder()
    builder.add(Directory(("a",), Metadata(0, 0, 0o755, ((b"user.a", b"12345"),))))
    with pytest.raises(InvalidLayer, match="more than 20 bytes of extended attributes"):
        builder.add(Directory(("b",), Metadata(0, 0, 0o755, ((b"user.a", b"12345"),))))


def test_a_name_that_comes_again() -> None:
    """The last one holds, whatever the name was before, and whether it is beside the last one."""
    for before in (
        RegularFile(("d", "f"), META, 0),
        HardLink(("d", "f"), ("elsewhere",)),
        SpecialFile(("d", "f"), "fifo"),
        Whiteout(("d", "f")),
    ):
        builder = LayerBuilder()
        builder.add(RegularFile(("d", "other"), META, 0), A)
        builder.add(before, A)
        builder.add(RegularFile(("d", "f"), META, 0), B)
        layer = builder.finish()
        assert find(layer.root, ("d", "other")) == A
        assert find(layer.root, ("d", "f")) == B
        assert layer.links == {}


def test_a_file_in_the_place_of_a_directory_beside_it() -> None:
    builder = LayerBuilder()
    builder.add(RegularFile(("d", "e", "f"), META, 0), A)
    builder.add(RegularFile(("d", "other"), META, 0), A)
    with pytest.raises(InvalidLayer, match="at once"):
        builder.add(RegularFile(("d", "e"), META, 0), A)
    with pytest.raises(TypeError):
        builder.add(RegularFile(("d", "g"), META, 0))


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "a\0b", ".wh.a", "n" * 256])
def test_a_name_that_no_file_can_have(name: str) -> None:
    builder = LayerBuilder()
    builder.add(RegularFile(("d", "f"), META, 0), A)
    with pytest.raises(InvalidLayer, match="not the name of a file"):
        builder.add(RegularFile(("d", name), META, 0), A)
