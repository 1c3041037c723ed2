# SPDX-License-Identifier: LGPL-2.1-or-later
"""Outlines: the same tree as that of the whole image, without the content of its files."""

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from atomic_sys.errors import Damaged, NotFound
from atomic_sys.model.layer import LayerStream, Metadata, RegularFile
from atomic_sys.model.stream import ContentMismatch
from atomic_sys.store.fsck import FsckReport, fsck
from atomic_sys.store.images import ImageToStore, StoredImage, rootfs_ref
from atomic_sys.store.outlines import Outlines
from atomic_sys.store.partial import is_partial
from atomic_sys.store.repository import Mode, Repository
from atomic_sys.store.store import Store
from tests.support import layers
from tests.support.layers import Member, directory, file, hard_link, symlink

BASE = [file("etc/passwd", b"root"), file("usr/run", b"run", mode=0o755), symlink("lib", "usr"),
        file("gone", b"x"), directory("old"), file("old/one", b"1")]  # fmt: skip
TOP = [file(".wh.gone"), file("old/.wh..wh..opq"), hard_link("usr/walk", "usr/run"),
       file("lib/added", b"by way of a link"), file("new", b"2")]  # fmt: skip
CONTENTS = (BASE, TOP)


def image(*contents: Sequence[Member]) -> ImageToStore:
    return layers.image("hello", [layers.layer_import(one) for one in contents], (b"signature",))


def outline(store: Store, *contents: Sequence[Member]) -> StoredImage:
    outlines = Outlines(store)
    for members in contents:
        outlines.import_layer(layers.layer_import(members), layers.stream(members))
    return outlines.put(image(*contents))


def pull(store: Store, *contents: Sequence[Member]) -> StoredImage:
    for members in contents:
        store.import_layer(layers.layer_import(members), layers.stream(members))
    return store.put_image(image(*contents))


def checked(store: Store) -> FsckReport:
    return fsck(store.repository, lambda _: None)


@pytest.fixture
def other(tmp_path: Path) -> Store:
    """A second store."""
    fd = os.open(tmp_path, os.O_RDONLY)
    try:
        return Store(Repository.create(fd, "other", Mode.BARE_USER), timeout=0)
    finally:
        os.close(fd)


def test_the_tree_is_that_of_the_whole_image(store: Store, other: Store) -> None:
    outlined, whole = outline(store, *CONTENTS), pull(other, *CONTENTS)
    assert store.tree(outlined).root == other.tree(whole).root
    assert (outlined.name, outlined.digest, outlined.layers) == (
        whole.name, whole.digest, whole.layers,
    )  # fmt: skip
    assert store.config(outlined) == other.config(whole)
    assert store.signatures(outlined) == (b"signature",)
    assert store.images() == ()
    assert tuple(Outlines(store).images()) == (outlined,)


def test_no_content_is_kept_but_that_of_links(store: Store) -> None:
    tree = store.tree(outline(store, *CONTENTS))
    missing = {"/".join(path) for path, _ in tree.missing("/")}
    assert missing == {"etc/passwd", "new", "usr/added", "usr/run", "usr/walk"}
    assert [path for path, _ in tree.missing("/lib/run")] == [("usr", "run")]
    assert tree.exists("/lib/run")
    assert not tree.exists("/lib/run/below")
    with pytest.raises(Damaged, match="missing object"):
        tree.read_file("/etc/passwd", 10)


def test_of_a_whole_image_nothing_is_missing(store: Store) -> None:
    assert list(store.tree(pull(store, *CONTENTS)).missing("/")) == []


def test_a_layer_is_outlined_once(store: Store) -> None:
    outlines, about = Outlines(store), layers.layer_import(BASE)
    assert not outlines.has_layer(about.digest)
    report = outlines.import_layer(about, layers.stream(BASE))
    assert (report.files, report.bytes) == (4, 9)
    assert outlines.has_layer(about.digest)
    assert not store.has_layer(about.digest)
    assert is_partial(store.repository, bytes.fromhex(report.commit))


def test_a_whole_layer_will_do(store: Store) -> None:
    store.import_layer(layers.layer_import(BASE), layers.stream(BASE))
    outlines = Outlines(store)
    assert outlines.has_layer(layers.layer_import(BASE).digest)
    outlines.import_layer(layers.layer_import(TOP), layers.stream(TOP))
    tree = store.tree(outlines.put(image(*CONTENTS)))
    assert {"/".join(path) for path, _ in tree.missing("/")} == {"new", "usr/added"}


def test_a_layer_that_is_not_there(store: Store) -> None:
    with pytest.raises(NotFound, match="is not in the store"):
        Outlines(store).put(image(BASE))


@pytest.mark.parametrize("size", [2, 4])
def test_a_file_of_another_size_than_promised(size: int, store: Store) -> None:
    def stream() -> LayerStream:
        yield RegularFile(("f",), Metadata(0, 0, 0o644), size), [b"abc"]

    with pytest.raises(ContentMismatch):
        Outlines(store).import_layer(layers.layer_import(BASE), stream())
    assert not Outlines(store).has_layer(layers.layer_import(BASE).digest)


def test_a_root_file_system_that_is_whole_stays_so(store: Store) -> None:
    whole = pull(store, *CONTENTS)
    before = store.repository.read_ref(rootfs_ref(whole.digest))
    outline(store, *CONTENTS)
    assert store.repository.read_ref(rootfs_ref(whole.digest)) == before
    assert store.tree(whole).read_file("/new", 10) == b"2"


def test_what_is_missing_of_an_outline_is_no_damage(store: Store) -> None:
    outline(store, *CONTENTS)
    assert checked(store).clean
    for path in Path(f"/proc/self/fd/{store.repository.objects}").glob("*/*.dirtree"):
        path.write_bytes(b"nonsense")
    broken = {ref.ref.partition("/")[0] for ref in checked(store).broken}
    assert {"ocioutline", "ocirootfs", "ociremote"} <= broken


def test_what_is_there_of_an_outline_can_be_damaged(store: Store) -> None:
    tree = store.tree(outline(store, *CONTENTS))
    link = tree.root.nodes["lib"]
    assert isinstance(link, bytes)
    digits = link.hex()
    path = Path(f"/proc/self/fd/{store.repository.objects}/{digits[:2]}/{digits[2:]}.file")
    path.write_bytes(b"elsewhere\0")
    assert {ref.ref.partition("/")[0] for ref in checked(store).broken} == {
        "ocioutline", "ocirootfs",
    }  # fmt: skip


def test_an_outline_that_is_damaged_is_none(store: Store) -> None:
    outlined = outline(store, BASE)
    name = outlined.commit
    os.truncate(f"/proc/self/fd/{store.repository.objects}/{name[:2]}/{name[2:]}.commit", 10)
    assert Outlines(store).image(outlined.digest) is None
    assert list(Outlines(store).images()) == []


def test_prune_keeps_what_a_deployment_needs(store: Store) -> None:
    kept, other_one = outline(store, *CONTENTS), outline(store, BASE)
    commit = store.tree(kept).commit
    store.prune(lambda: {commit, kept.digest.hex})
    assert list(Outlines(store).images()) == [kept]
    assert Outlines(store).image(other_one.digest) is None
    assert store.config(kept) == image(*CONTENTS).config
    assert checked(store).clean
    assert all(Outlines(store).has_layer(layer) for layer in kept.layers)
    store.prune()
    assert list(store.repository.refs()) == []
    assert not is_partial(store.repository, bytes.fromhex(commit))


def test_content_is_taken_by_its_checksum(store: Store, tmp_path: Path) -> None:
    member = file("exports/unit", b"text", uid=os.getuid(), gid=os.getgid())
    tree = store.tree(outline(store, [member]))
    here = tmp_path / "copy/exports"
    here.mkdir(parents=True)
    fd = os.open(tmp_path / "copy", os.O_RDONLY)
    try:
        wanted = list(tree.missing("/exports"))
        with pytest.raises(FileNotFoundError):
            Outlines(store).take(wanted, fd)
        (here / "unit").write_bytes(b"other")
        (here / "unit").chmod(0o644)
        with pytest.raises(Damaged, match="/exports/unit is not the image's file"):
            Outlines(store).take(wanted, fd)
        assert list(tree.missing("/exports")) == wanted
        (here / "unit").write_bytes(b"text")
        Outlines(store).take(wanted, fd)
    finally:
        os.close(fd)
    assert list(tree.missing("/exports")) == []
    assert tree.read_file("/exports/unit", 10) == b"text"


def test_signatures_are_replaced(store: Store) -> None:
    outline(store, BASE)
    again = Outlines(store).put(replace(image(BASE), signatures=(b"a", b"b")))
    assert store.signatures(again) == (b"a", b"b")
