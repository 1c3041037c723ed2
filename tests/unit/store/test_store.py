# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the store promises about layers, images, failures and pruning."""

import dataclasses
import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import pytest

from atomic_sys.errors import AtomicSysError, Busy, Damaged, NotFound
from atomic_sys.fs.lock import LockKind
from atomic_sys.model.digest import Digest
from atomic_sys.model.layer import Entry, LayerStream, Metadata, RegularFile
from atomic_sys.model.reference import ImageName
from atomic_sys.model.stream import ContentMismatch
from atomic_sys.store.images import StoredImage, decode_name, encode_name
from atomic_sys.store.store import Store
from atomic_sys.store.transaction import MARK_SUFFIX
from tests.support import layers
from tests.support.layers import Member, directory, file, hard_link, listing, member, symlink

A = [directory("etc", mode=0o750), file("etc/conf", b"a"), file("usr/run", b"run", mode=0o755),
     symlink("usr/conf", "../etc/conf"), file("hollow")]  # fmt: skip
B = [file("etc/.wh.conf"), file("etc/new", b"b"), hard_link("usr/walk", "usr/run")]
FIRST, SECOND = ImageName.parse("example.com/first:1"), ImageName.parse("second")


def put(store: Store, name: ImageName, *contents: Sequence[Member]) -> StoredImage:
    imports = [layers.layer_import(members) for members in contents]
    for about, members in zip(imports, contents, strict=True):
        if not store.has_layer(about.digest):  # or its commit is another one a second later
            store.import_layer(about, layers.stream(members))
    return store.put_image(layers.image(name.value, imports, (b"sig",)))


def files(repository: Path) -> set[str]:
    found = {str(item.relative_to(repository)) for item in repository.rglob("*")}
    return {name for name in found if (repository / name).is_file()} - {".lock", "config"}


def test_an_image_is_what_was_put(store: Store) -> None:
    image = put(store, FIRST, A, B)
    wanted = layers.image(FIRST.value, [layers.layer_import(A), layers.layer_import(B)])
    assert (image.name, image.digest, image.layers) == (FIRST, wanted.digest, wanted.layers)
    assert image.raw_manifest == wanted.raw_manifest
    assert image.size == sum(layers.layer_import(content).compressed_size for content in (A, B))
    assert store.images() == (image,)
    assert store.signatures(image) == (b"sig",)
    assert store.config(image) == wanted.config


def test_an_image_remembers_its_source(store: Store) -> None:
    about = layers.layer_import(A)
    store.import_layer(about, layers.stream(A))
    wanted = dataclasses.replace(layers.image("a", [about]), source="docker://example.com/a:1")
    image = store.put_image(wanted)
    assert image.source == "docker://example.com/a:1"
    store.tag_image(image, SECOND)
    assert [found.source for found in store.images()] == [image.source] * 2
    assert put(store, FIRST, A).source is None


def test_find(store: Store) -> None:
    first, second = put(store, FIRST, A), put(store, SECOND, A, B)
    assert store.find("second") == store.find("second:latest") == (second,)
    assert store.find(first.digest.hex[:10]) == store.find(str(first.digest)) == (first,)
    assert store.find("third") == store.find("sha256:") == store.find("") == ()
    store.tag_image(first, ImageName.parse("third"))
    assert [image.digest for image in store.find("third")] == [first.digest]
    assert len(store.find(first.digest.hex)) == 2


def test_a_layer_is_imported_once(store: Store, tmp_path: Path) -> None:
    put(store, FIRST, A)
    before = {name for name in files(tmp_path / "repo") if not name.endswith(".commit")}
    about = layers.layer_import(A)
    assert store.has_layer(about.digest)
    report = store.import_layer(about, layers.stream(A))
    assert (report.files, report.bytes, report.left_out) == (3, 4, ())
    after = {name for name in files(tmp_path / "repo") if not name.endswith(".commit")}
    assert after == before


def test_special_files_are_reported(store: Store) -> None:
    members = [member("dev/fifo", b"6"), file("x")]
    report = store.import_layer(layers.layer_import(members), layers.stream(members))
    assert report.left_out == ("/dev/fifo (fifo)",)


class Broken(Exception):
    pass


def breaks_after(members: Sequence[Member], count: int) -> LayerStream:
    for index, item in enumerate(layers.stream(members)):
        if index == count:
            raise Broken
        yield item


def breaks_inside(size: int) -> Iterator[tuple[Entry, Iterable[bytes]]]:
    def chunks() -> Iterator[bytes]:
        yield b"x" * 1000
        raise Broken

    yield RegularFile(("big",), Metadata(0, 0, 0o4755), size), chunks()


@pytest.mark.parametrize("size", [2000, 5 << 20])
def test_a_file_that_breaks_off_leaves_nothing(store: Store, tmp_path: Path, size: int) -> None:
    with pytest.raises(Broken):
        store.import_layer(layers.layer_import(A), breaks_inside(size))
    left = files(tmp_path / "repo")
    assert {name for name in left if not name.endswith(MARK_SUFFIX)} == set()


def test_a_layer_that_breaks_off_has_no_ref(store: Store, tmp_path: Path) -> None:
    for count in range(len(A)):
        with pytest.raises(Broken):
            store.import_layer(layers.layer_import(A), breaks_after(A, count))
        assert not any(name.startswith("refs") for name in files(tmp_path / "repo"))
    assert not store.has_layer(layers.layer_import(A).digest)
    assert store.prune().objects > 0
    assert files(tmp_path / "repo") == set()


@pytest.mark.parametrize("size", [3, 5, 2 << 20])
def test_a_file_of_another_size_is_refused(store: Store, size: int) -> None:
    entry = RegularFile(("f",), Metadata(0, 0, 0o644), size)
    content = b"four" if size < 100 else b"x" * (size + 1)
    with pytest.raises(ContentMismatch):
        store.import_layer(layers.layer_import(A), iter([(entry, [content])]))


@pytest.mark.parametrize("target", ["", "a\0b", "a\udcff"])
def test_a_link_to_an_impossible_target_is_refused(store: Store, target: str) -> None:
    members = [symlink("l", target)]
    with pytest.raises(AtomicSysError, match="target"):
        store.import_layer(layers.layer_import(A), layers.stream(members))


def test_an_image_of_missing_layers_or_other_bytes_is_refused(store: Store) -> None:
    wanted = layers.image("a", [layers.layer_import(A)])
    with pytest.raises(NotFound, match="layer"):
        store.put_image(wanted)
    store.import_layer(layers.layer_import(A), layers.stream(A))
    for changed in ({"config": b"{}"}, {"raw_manifest": b"{}"}):
        with pytest.raises(Damaged):
            store.put_image(dataclasses.replace(wanted, **changed))  # type: ignore[arg-type]  # a row
    assert store.images() == ()


def test_tree(store: Store) -> None:
    tree = store.tree(put(store, FIRST, A, B))
    assert tree.read_file("/etc/new", 10) == b"b"
    assert tree.read_file("usr/walk", 3) == b"run"
    assert tree.read_file("usr/conf", 10) is None  # its target is gone
    assert tree.read_file("etc", 10) is tree.read_file("etc/new/x", 10) is None
    with pytest.raises(AtomicSysError, match="larger"):
        tree.read_file("usr/walk", 2)
    seen = [(entry.path, entry.target, entry.size) for entry in tree.walk("/usr")]
    assert seen == [(("conf",), "../etc/conf", 12), (("run",), None, 3), (("walk",), None, 3)]
    assert [entry.path for entry in tree.walk() if entry.is_directory] == [("etc",), ("usr",)]
    assert list(tree.walk("nothing")) == list(tree.walk("etc/new")) == []


def test_links_lead_nowhere_outside(store: Store, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("outside")
    members = [symlink("abs", str(tmp_path / "secret")), symlink("up", "../" * 30 + "etc/passwd"),
               symlink("self", "self")]  # fmt: skip
    tree = store.tree(put(store, FIRST, members))
    assert [tree.read_file(name, 9999) for name in ("abs", "up", "self")] == [None] * 3


def test_check_out(store: Store, tmp_path: Path, here: int) -> None:
    image = put(store, FIRST, A, B)
    tree = store.tree(image)
    assert store.check_out(tree, here, "out") == tree.commit
    seen = listing(tmp_path / "out")
    assert set(seen) == {".", "etc", "etc/new", "hollow", "usr", "usr/conf", "usr/run", "usr/walk"}
    assert stat.S_IMODE((tmp_path / "out/etc").stat().st_mode) == 0o750
    assert (tmp_path / "out/usr/run").stat().st_nlink == 3  # with the object, and usr/walk
    assert (tmp_path / "out/hollow").stat().st_nlink == 1
    with pytest.raises(FileExistsError):
        store.check_out(tree, here, "out")
    assert listing(tmp_path / "out") == seen


def test_a_missing_object_leaves_no_checkout(store: Store, tmp_path: Path, here: int) -> None:
    tree = store.tree(put(store, FIRST, A))
    for path in (tmp_path / "repo/objects").rglob("*.file"):
        path.unlink()
    with pytest.raises(Damaged, match="missing object"):
        store.check_out(tree, here, "out")
    assert not (tmp_path / "out").exists()


def test_a_full_inode_is_copied(
    store: Store, tmp_path: Path, here: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree = store.tree(put(store, FIRST, A))
    monkeypatch.setattr(os, "link", fails_with(31))
    store.check_out(tree, here, "out")
    assert (tmp_path / "out/usr/run").read_bytes() == b"run"
    assert stat.S_IMODE((tmp_path / "out/usr/run").stat().st_mode) == 0o755
    monkeypatch.setattr(os, "link", fails_with(18))
    with pytest.raises(AtomicSysError, match="file system"):
        store.check_out(tree, here, "again")


def fails_with(code: int) -> "Iterable[None]":
    def link(*_: object, **__: object) -> None:
        raise OSError(code, os.strerror(code))

    return link  # type: ignore[return-value]  # takes the place of os.link


def test_a_damaged_store_is_told(store: Store, tmp_path: Path) -> None:
    image = put(store, FIRST, A)
    for path in (tmp_path / "repo/objects").rglob("*.dirtree"):
        path.write_bytes(b"\0" * 10)
    again = Store(store.repository)  # this one has the tree in memory
    with pytest.raises(Damaged, match="damaged object"):
        again.tree(image)
    with pytest.raises(Damaged):
        store.config(image)


def test_a_layer_without_its_commit_is_not_there(store: Store, tmp_path: Path) -> None:
    about = layers.layer_import(A)
    report = store.import_layer(about, layers.stream(A))
    (tmp_path / f"repo/objects/{report.commit[:2]}/{report.commit[2:]}.commit").unlink()
    assert not store.has_layer(about.digest)


def test_prune_keeps_what_images_and_deployments_need(store: Store, tmp_path: Path) -> None:
    first, second = put(store, FIRST, A), put(store, SECOND, A, B)
    deployed = store.tree(second).commit
    everything = files(tmp_path / "repo")
    assert store.prune().objects == 0
    assert files(tmp_path / "repo") == everything
    store.delete_image(SECOND)
    assert store.prune(lambda: [deployed]).refs == 2  # layer and config
    assert any(name.startswith("refs/heads/ocirootfs") for name in files(tmp_path / "repo"))
    assert store.prune().refs == 1
    assert store.images() == (first,)
    assert store.config(first)
    assert store.tree(first).read_file("etc/conf", 9) == b"a"
    store.delete_image(FIRST)
    store.prune()
    assert files(tmp_path / "repo") == set()
    with pytest.raises(NotFound):
        store.delete_image(FIRST)
    with pytest.raises(NotFound):
        store.tag_image(first, SECOND)


def test_locks(store: Store, here: int) -> None:
    other = Store.open(here, "repo", timeout=0)
    with store.in_use():
        with other.in_use():
            put(store, FIRST, A)
        with pytest.raises(Busy):
            other.prune()
        with pytest.raises(Busy, match="this process"):
            store.prune()
    with other.repository.locked(LockKind.EXCLUSIVE, 0), pytest.raises(Busy):
        store.import_layer(layers.layer_import(B), layers.stream(B))
    other.close()


@pytest.mark.parametrize(
    ("name", "encoded"),
    [
        ("busybox:latest", "busybox_3Alatest"),
        ("docker.io/busybox:latest", "docker.io_2Fbusybox_3Alatest"),
        ("localhost:5000/a__b:V_1", "localhost_3A5000_2Fa_5F_5Fb_3AV_5F1"),
        ("a@sha256:" + "0" * 64, "a_40sha256_3A" + "0" * 64),
    ],
)
def test_names_are_encoded_as_the_predecessor_did(name: str, encoded: str) -> None:
    assert encode_name(ImageName(name)) == encoded
    assert decode_name(encoded) == ImageName(name)


def test_a_name_too_long_for_a_file_is_refused(store: Store) -> None:
    image = put(store, FIRST, A)
    with pytest.raises(AtomicSysError, match="ref"):
        store.tag_image(image, ImageName("/" * 100))


def test_a_sha512_layer(store: Store) -> None:
    digest = Digest("sha512", "a" * 128)
    about = dataclasses.replace(layers.layer_import(A), digest=digest, uncompressed_size=None)
    store.import_layer(about, layers.stream(A))
    assert store.has_layer(digest)
    assert store.images() == ()
