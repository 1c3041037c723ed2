# SPDX-License-Identifier: LGPL-2.1-or-later
"""A layer's archive comes out of the store as it went in, byte for byte."""

import contextlib
import io
import os
import tarfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from atomic_sys.errors import Damaged, NotFound
from atomic_sys.image.layer import read_layer
from atomic_sys.model.digest import Digest
from atomic_sys.model.stream import verified
from atomic_sys.store.images import LayerImport
from atomic_sys.store.repository import Mode, Repository
from atomic_sys.store.skeleton import layer_tar, recording
from atomic_sys.store.store import Store
from tests.support import layers
from tests.support.layers import Member, archive, directory, file, hard_link, member, symlink

MEMBERS = [
    directory("./"),
    file("./z-first", b"z" * 700),
    file("a", b""),
    file("twice", b"the first"),
    file("twice", b"the second"),
    file("gone", b"overwritten by a link"),
    hard_link("gone", "a"),
    hard_link("b", "a"),
    symlink("c", "a"),
    file("same", b"z" * 700),
    file("large", bytes(range(256)) * 9000),
    file("n" * 200, b"a long name"),
    file("d/.wh.x", b"a whiteout with content"),
    file("d/.wh..wh..opq"),
    member("null", tarfile.CHRTYPE, devmajor=1, devminor=3),
    member("fifo", tarfile.FIFOTYPE),
    file("time", b"t", pax_headers={"mtime": "1.5", "SCHILY.xattr.user.a": "b"}),
]
TAR = archive(MEMBERS)


def put(store: Store, tar: bytes, cut: int = 70_000) -> Digest:
    """Import the archive as a layer that comes in chunks of this size."""
    digest = Digest.of(tar)
    layer = LayerImport(digest=digest, diff_id=digest, compressed_size=len(tar))
    chunks = [tar[at : at + cut] for at in range(0, len(tar), cut)]
    with recording(store.repository) as skeleton:
        stream = read_layer(chunks, diff_id=digest, recorder=skeleton)
        store.import_layer(layer, stream, skeleton)
    return digest


def again(store: Store, digest: Digest) -> bytes:
    tar = layer_tar(store.repository, digest)
    return b"".join(verified(tar.chunks(), tar.diff_id, tar.size))


@pytest.mark.parametrize("cut", [1 << 20, 70_000, 512, 511, 100])
def test_every_kind_of_member(store: Store, cut: int) -> None:
    assert again(store, put(store, TAR, cut)) == TAR


@pytest.mark.parametrize("end", ["", "one file", "no trailer", "no padding", "much padding"])
def test_ends_of_archives(store: Store, end: str) -> None:
    tar = archive([file("a", b"abc")])
    tar = {
        "": archive([]),
        "one file": tar,
        "no trailer": tar[:1024],
        "no padding": tar[:515],
        "much padding": tar + bytes(1 << 20),
    }[end]
    assert again(store, put(store, tar)) == tar


def test_survives_pruning_with_the_image_and_goes_with_it(store: Store) -> None:
    digest = put(store, TAR)
    layer = LayerImport(digest=digest, diff_id=digest, compressed_size=len(TAR))
    image = layers.image("example.com/a:1", [layer])
    store.put_image(image)
    store.prune()
    assert again(store, digest) == TAR
    store.delete_image(image.name)
    store.prune()
    assert list(store.repository.refs()) == []
    with pytest.raises(NotFound, match="not in the store"):
        layer_tar(store.repository, digest)


def test_a_layer_without_a_skeleton(store: Store) -> None:
    members = [file("a", b"x")]
    layer = layers.layer_import(members)
    store.import_layer(layer, layers.stream(members))
    with pytest.raises(NotFound, match="without what it takes") as caught:
        layer_tar(store.repository, layer.digest)
    assert "pull it again" in str(caught.value.hint)


def test_a_lost_content_is_said(store: Store) -> None:
    digest = put(store, TAR)
    for path in Path(f"/proc/self/fd/{store.repository.objects}/").glob("*/*.file"):
        path.unlink()
    with pytest.raises(Damaged):
        again(store, digest)


def test_costs_a_few_bytes_for_each_file(store: Store) -> None:
    count = 3000
    members = [file(f"directory/file-{number:06}", b"%d" % number) for number in range(count)]
    digest = put(store, archive(members))
    commit = layer_tar(store.repository, digest).skeleton
    size = sum(
        path.stat().st_size
        for path in Path(f"/proc/self/fd/{store.repository.objects}/").glob("*/*.file")
        if path.stat().st_size > 10
    )
    assert commit.text("atomic-sys.tar-size") == str(len(archive(members)))
    assert size < 16 * count


NAMES = st.sampled_from(["a", "b", "dir/c", "dir/.wh.d", "e" * 120, "\u00e4/" + "f" * 101])
FORMATS = st.sampled_from([tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
FILES = st.builds(file, NAMES, st.binary(max_size=1500), mtime=st.integers(0, 1 << 33))
LINKS = st.builds(hard_link, NAMES, st.just("anchor"))
SYMLINKS = st.builds(symlink, NAMES, st.text("xyz/", min_size=1, max_size=150))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    members=st.lists(FILES | LINKS | SYMLINKS, max_size=12),
    form=FORMATS,
    cut=st.integers(1, 3000),
    tail=st.integers(0, 4096),
)
def test_any_archive(
    tmp_path: Path, here: int, members: Sequence[Member], form: int, cut: int, tail: int
) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=form, encoding="utf-8") as tar:
        for info, content in (file("anchor"), *members):
            with contextlib.suppress(ValueError):  # a name that ustar has no place for
                tar.addfile(info, io.BytesIO(content))
    whole = buffer.getvalue() + bytes(tail)
    opened = Store(Repository.create(here, "any", Mode.BARE_USER), timeout=0)
    try:
        assert again(opened, put(opened, whole, cut)) == whole
    finally:
        opened.close()


def test_the_same_objects_however_the_layer_came(tmp_path: Path) -> None:
    trees = set()
    for number, cut in enumerate((600, 4096, 70_000, len(TAR))):
        with _opened(tmp_path / str(number)) as store:
            digest = put(store, TAR, cut)
            trees.add(layer_tar(store.repository, digest).skeleton.root_tree)
    assert len(trees) == 1


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[Store]:
    path.mkdir()
    fd = os.open(path, os.O_RDONLY)
    with contextlib.closing(Store(Repository.create(fd, "repo", Mode.BARE_USER))) as store:
        yield store
    os.close(fd)
