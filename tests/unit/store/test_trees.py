# SPDX-License-Identifier: LGPL-2.1-or-later
"""Merged trees in memory and on the disk: what is not written again must be there all the same."""

import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from atomic_sys.errors import Damaged
from atomic_sys.image.layer import read_layer
from atomic_sys.store import images
from atomic_sys.store.images import StoredImage
from atomic_sys.store.object_writer import ObjectWriter
from atomic_sys.store.objects import Commit, ObjectKind
from atomic_sys.store.store import Store
from atomic_sys.store.tree import Directory, InvalidLayer, find
from tests.support import layers
from tests.support.layers import Member, directory, file, hard_link, symlink

BASE = [
    directory("a", mode=0o700), directory("a/b"), file("a/b/f", b"f"), file("a/b/g", b"g"),
    directory("c"), directory("c/d"), directory("c/d/e"), file("c/d/e/f", b"e"),
    symlink("l", "c/d"), symlink("ll", "l"), file("hollow"), file("own", mode=0o600),
]  # fmt: skip


def put(store: Store, *contents: Sequence[Member], name: str = "a") -> StoredImage:
    imports = [layers.layer_import(members) for members in contents]
    for about, members in zip(imports, contents, strict=True):
        if not store.has_layer(about.digest):
            stream = read_layer([layers.archive(members)], diff_id=about.diff_id)
            store.import_layer(about, stream)
    return store.put_image(layers.image(name, imports))


UPPERS = [
    [],
    [file("c/d/e/f", b"new")],
    [file("a/b/.wh.f")],
    [file("a/b/.wh..wh..opq"), file("a/b/h")],
    [directory("a/b", mode=0o711)],
    [hard_link("c/d/e/link", "a/b/f")],
    [hard_link("x/y/link", "a/b/f"), file("x/y/f"), directory("x/z"), file("x/z/f")],
    [file("l/e/behind")],
    [file("l/.wh.e")],
    [file("l/e/.wh..wh..opq")],
    # What goes is behind the link as it was, in a directory that the layer has nothing in.
    [symlink("l", "a"), file("ll/.wh.e")],
    [symlink("l", "a"), file("ll/e/.wh..wh..opq")],
    [file("c", b"a file now")],
    [directory("l"), directory("l/m"), file("l/m/n")],
    [file("a/b/f", b"f")],  # as it was
]


@pytest.mark.parametrize("upper", UPPERS)
def test_what_is_merged_is_what_is_stored(store: Store, upper: list[Member]) -> None:
    for contents in ([BASE, upper], [BASE, upper, [file("c/d/e/last")]], [upper, BASE]):
        try:
            image = put(store, *contents)
        except InvalidLayer:
            continue  # a link to nothing, when it comes first
        again = Store(store.repository).tree(image)
        assert again.root == store.tree(image).root
        assert again.empty == store.tree(image).empty


def test_what_no_layer_changes_is_not_written_again(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    kinds: list[ObjectKind] = []
    add = ObjectWriter.add_metadata

    def counted(self: ObjectWriter, kind: ObjectKind, content: bytes) -> bytes:
        kinds.append(kind)
        return add(self, kind, content)

    put(store, BASE)
    monkeypatch.setattr(ObjectWriter, "add_metadata", counted)
    put(store, BASE, name="b")
    before = kinds.count(ObjectKind.DIRTREE)  # the documents, and the root of the merged tree
    upper = [file("a/b/f", b"new")]
    about = layers.layer_import(upper)
    store.import_layer(about, layers.stream(upper))
    kinds.clear()
    store.put_image(layers.image("c", [layers.layer_import(BASE), about]))
    assert kinds.count(ObjectKind.DIRTREE) == before + len(("a", "a/b"))


def test_a_directory_that_is_only_implied_has_no_metadata_of_its_own(store: Store) -> None:
    image = put(store, [file("x/f")], [directory("x", mode=0o700)], [file("x/g")])
    node = find(store.tree(image).root, ("x",))
    assert isinstance(node, Directory)
    assert node.metadata.mode == 0o700


def test_the_tree_that_was_read_is_remembered_until_it_may_change(
    store: Store, tmp_path: Path
) -> None:
    image = put(store, BASE)
    fresh = Store(store.repository, timeout=0)
    tree = fresh.tree(image)
    assert fresh.tree(image) is tree
    assert fresh.rootfs(tree.commit) is tree
    assert fresh.config(image)
    assert fresh.tree(image) is tree  # reading something else does not take its place
    fresh.prune()
    assert fresh.tree(image) is not tree
    tree = fresh.tree(image)
    for path in (tmp_path / "repo/objects").rglob("*.dirtree"):
        path.write_bytes(b"damaged")
    assert fresh.tree(image) is tree  # it was verified
    fresh.discard(())
    with pytest.raises(Damaged):
        fresh.tree(image)


def test_empty_files_are_known_from_the_commits(store: Store, here: int, tmp_path: Path) -> None:
    image = put(store, BASE, [file("a/b/f"), file("a/b/g", mode=0o755), file(".wh.own")])
    tree = Store(store.repository).tree(image)
    assert tree.empty is not None
    for path in (("hollow",), ("a", "b", "f"), ("a", "b", "g")):
        assert find(tree.root, path) in tree.empty
    assert find(tree.root, ("c", "d", "e", "f")) not in tree.empty
    store.check_out(tree, here, "out")
    assert os.stat(tmp_path / "out/hollow").st_nlink == 1


@pytest.mark.parametrize("text", [None, "xyz"])
def test_empty_files_may_not_be_known(text: str | None) -> None:
    metadata = {} if text is None else {images.EMPTY_KEY: ("s", text)}
    commit = Commit(metadata=metadata, timestamp=0, root_tree=bytes(32), root_metadata=bytes(32))
    assert images.empty_files(commit) is None
