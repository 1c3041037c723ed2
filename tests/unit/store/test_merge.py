# SPDX-License-Identifier: LGPL-2.1-or-later
"""What generated images found: links and whiteouts that a first reading of layer.md gets wrong.

Each layer is an archive here, each tree what the store has of it; the slow extractor agrees.
"""

import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from atomic_sys.image.layer import read_layer
from atomic_sys.model.reference import ImageName
from atomic_sys.store.images import LayerReport
from atomic_sys.store.store import Store
from atomic_sys.store.tree import InvalidLayer
from tests.support import layers, reference
from tests.support.archives import TYPES
from tests.support.layers import Member, directory, file, hard_link, listing, member, symlink

LIB = [directory("usr/lib"), file("usr/lib/so", b"so"), symlink("lib", "usr/lib")]
USR = ["lib->usr/lib", "usr/", "usr/lib/"]


def put(store: Store, *contents: Sequence[Member]) -> list[LayerReport]:
    imports = [layers.layer_import(members) for members in contents]
    reports = [
        store.import_layer(about, read_layer([layers.archive(members)], diff_id=about.diff_id))
        for about, members in zip(imports, contents, strict=True)
    ]
    store.put_image(layers.image("a", imports))
    return reports


def names(store: Store, here: int, path: Path) -> list[str]:
    """What is checked out: directories with a slash, files with content, links with target."""
    image = store.image(ImageName.parse("a"))
    assert image is not None
    store.check_out(store.tree(image), here, "out")
    found = []
    for name, (*_, content, _) in listing(path / "out").items():
        if name != ".":
            mark = "=" if isinstance(content, bytes) else "->" if isinstance(content, str) else "/"
            text = content.decode() if isinstance(content, bytes) else content or ""
            found.append(f"{name}{mark}{text}")
    return sorted(found)


@pytest.mark.parametrize(
    ("lower", "upper", "expected"),
    [
        # overlayfs writes an opaque directory for `rm lib; mkdir lib`: /usr/lib stays as it is
        (LIB, [directory("lib"), file("lib/.wh..wh..opq")],
         ["lib/", "usr/", "usr/lib/", "usr/lib/so=so"]),
        (LIB, [file("lib/.wh.so"), directory("lib")],
         ["lib/", "usr/", "usr/lib/", "usr/lib/so=so"]),
        (LIB, [file("lib/.wh.so")], USR),
        (LIB, [file("lib/.wh..wh..opq")], USR),
        # a hard link's target may be behind a link of a lower layer
        (LIB, [hard_link("also", "lib/so")], ["also=so", *USR, "usr/lib/so=so"]),
        # it is the file that has the name then, as for tar
        ([file("a", b"old")], [hard_link("b", "a"), file("a", b"new")], ["a=new", "b=old"]),
        ([file("a", b"old")], [file("a", b"new"), hard_link("b", "a")], ["a=new", "b=new"]),
        ([], [file("a", b"1"), hard_link("b", "a"), file("a", b"2")], ["a=2", "b=1"]),
        ([], [hard_link("c", "b"), hard_link("b", "a"), file("a", b"1")], ["a=1", "b=1", "c=1"]),
        ([file("a", b"old")], [hard_link("c", "b"), hard_link("b", "a"), file("a", b"new")],
         ["a=new", "b=old", "c=old"]),
        ([file("b", b"b")], [hard_link("a", "b"), hard_link("b", "a")], ["a=b", "b=b"]),
        # the layer itself may bring what a lower layer's link leads to
        ([symlink("lib", "usr/lib")], [file("lib/so", b"so"), directory("usr/lib")],
         [*USR, "usr/lib/so=so"]),
        # a hard link is in its place before what is behind links
        ([file("a/a", b"x"), directory("d/b"), symlink("c", "d/b")],
         [file("c/f", b"f"), hard_link("d", "a/a")], ["a/", "a/a=x", "c/", "c/f=f", "d=x"]),
        # a name that no file can have behind the prefix
        ([file("n" * 255)], [file(".wh." + "n" * 255)], []),
    ],
)  # fmt: skip
def test_layers(
    store: Store, here: int, tmp_path: Path, lower: list[Member], upper: list[Member],
    expected: list[str],
) -> None:  # fmt: skip
    put(store, lower, upper)
    assert names(store, here, tmp_path) == sorted(expected)
    assert len(reference.extract([layers.archive(lower), layers.archive(upper)])) - 1 == len(
        expected
    )


@pytest.mark.parametrize("step", [1, -1])
def test_a_hard_link_to_a_special_file_is_left_out_like_it(
    store: Store, here: int, tmp_path: Path, step: int
) -> None:
    upper = [member("fifo", TYPES["fifo"]), hard_link("a", "fifo"), file("b")][::step]
    _, report = put(store, [file("a", b"old"), file("fifo", b"old")], upper)
    assert report.left_out == ("/fifo (fifo)", "/a (hard link to a special file)")
    assert names(store, here, tmp_path) == ["b="]


@pytest.mark.parametrize(
    "layer",
    [
        [member("a", TYPES["fifo"]), file("a/b")],
        [directory("a"), member("a", TYPES["fifo"])],
        [hard_link("a", "b"), hard_link("b", "a")],
        [hard_link("a", "b"), file("b/c")],
    ],
)
def test_refused(store: Store, layer: list[Member]) -> None:
    with pytest.raises(InvalidLayer):
        put(store, layer)


def test_a_long_chain_of_links_the_last_one_first(store: Store) -> None:
    """Each link is looked at once, not once for each link before it."""
    links = [hard_link(f"l{number}", f"l{number + 1}") for number in range(5000)]
    put(store, [*links, file("l5000", b"end")])
    (image,) = store.images()
    assert {store.tree(image).read_file(link.name, 9) for link, _ in links} == {b"end"}
    with pytest.raises(InvalidLayer, match="a hard link to nothing"):
        put(store, links)


def test_what_takes_a_special_files_name_is_kept(store: Store, here: int, tmp_path: Path) -> None:
    put(store, [member("a", TYPES["fifo"]), file("a", b"1"), file("b"), member("b", TYPES["char"])])
    assert names(store, here, tmp_path) == ["a=1"]


def test_attributes_that_links_cannot_have(store: Store, here: int, tmp_path: Path) -> None:
    link = symlink("l", "f", pax_headers={"SCHILY.xattr.user.a": "1"})
    put(store, [file("f", b"1", pax_headers={"SCHILY.xattr.user.a": "1"}), link])
    assert names(store, here, tmp_path) == ["f=1", "l->f"]
    assert os.listxattr(tmp_path / "out/l", follow_symlinks=False) == []
