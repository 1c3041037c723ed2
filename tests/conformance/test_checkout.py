# SPDX-License-Identifier: LGPL-2.1-or-later
"""Checkouts by root: owners, modes and links as the tree says, whatever is inherited there."""

import os
import stat
import struct
from collections.abc import Sequence
from pathlib import Path

import pytest

from atomic_sys.errors import Damaged
from atomic_sys.image.layer import read_layer
from atomic_sys.store import checkout
from atomic_sys.store.checkout import Content
from atomic_sys.store.store import Store
from atomic_sys.store.view import Tree
from tests.support import layers
from tests.support.layers import Member, directory, file, hard_link, listing, symlink

pytestmark = pytest.mark.conformance

MEMBERS = [
    directory("plain"), directory("plain/below", mode=0o711), file("plain/below/f", b"f"),
    directory("tmp", mode=0o1777), directory("shared", mode=0o2775, gid=7),
    directory("shared/below"), file("shared/below/f", b"g", mode=0o4755), directory("dark", mode=0),
    directory("dark/inside", mode=0o500), file("dark/inside/f", b"h", uid=5, gid=6),
    directory("theirs", uid=1000, gid=1000), file("theirs/f", b"i", uid=1000, mode=0o2755),
    directory("marked", pax_headers={"SCHILY.xattr.user.a": "1"}), file("hollow"),
    file("plain/hollow", mode=0o600), symlink("link", "plain/below/f"), hard_link("also", "hollow"),
    *(file(f"plain/{number}", b"%d" % number) for number in range(50)),
]  # fmt: skip
# acl(5) as the kernel keeps it: all rights for the owner, none for the group and others.
ACL = struct.pack("<I", 2) + b"".join(
    struct.pack("<HHI", tag, rights, 2**32 - 1) for tag, rights in ((1, 7), (4, 0), (0x20, 0))
)


@pytest.fixture
def tree(store: Store) -> Tree:
    return stored(store, MEMBERS)


def stored(store: Store, members: Sequence[Member]) -> Tree:
    about = layers.layer_import(members)
    store.import_layer(about, read_layer([layers.archive(members)], diff_id=about.diff_id))
    return store.tree(store.put_image(layers.image("a", [about])))


def made(
    store: Store, tree: Tree, where: Path, content: Content = Content.LINKS
) -> dict[str, object]:
    """What is checked out in the directory: of each name its kind, owner, mode and the rest."""
    fd = os.open(where, os.O_RDONLY)
    try:
        store.check_out(tree, fd, "out", content)
    finally:
        os.close(fd)
    out = where / "out"
    times = {item.lstat().st_mtime for item in (out, *out.rglob("*")) if not item.is_symlink()}
    assert times == {0}
    return dict(listing(out))


@pytest.fixture
def usual(store: Store, tree: Tree, scratch: Path) -> dict[str, object]:
    (scratch / "usual").mkdir()
    found = made(store, tree, scratch / "usual")
    info = (scratch / "usual/out/shared").stat()
    assert (stat.S_IMODE(info.st_mode), info.st_gid) == (0o2775, 7)
    assert stat.S_IMODE((scratch / "usual/out/tmp").stat().st_mode) == 0o1777
    assert stat.S_IMODE((scratch / "usual/out/dark").stat().st_mode) == 0
    assert (scratch / "usual/out/theirs").stat().st_uid == 1000
    assert (scratch / "usual/out/hollow").stat().st_nlink == 1
    assert (scratch / "usual/out/plain/1").stat().st_nlink == 2
    return found


@pytest.mark.parametrize("umask", [0, 0o022, 0o077, 0o777])
def test_the_umask_does_not_matter(
    store: Store, tree: Tree, scratch: Path, usual: dict[str, object], umask: int
) -> None:
    (scratch / "here").mkdir()
    before = os.umask(umask)
    try:
        assert made(store, tree, scratch / "here") == usual
    finally:
        os.umask(before)


def test_nothing_is_inherited(
    store: Store, tree: Tree, scratch: Path, usual: dict[str, object]
) -> None:
    above = scratch / "here"
    above.mkdir()
    os.chown(above, 0, 50)
    above.chmod(0o2775)
    assert made(store, tree, above) == usual


def test_modes_below_a_default_acl(
    store: Store, tree: Tree, scratch: Path, usual: dict[str, object]
) -> None:
    above = scratch / "here"
    above.mkdir()
    os.setxattr(above, "system.posix_acl_default", ACL)
    made(store, tree, above)
    for name in ("plain", "plain/below", "tmp", "dark"):
        wanted = (scratch / "usual/out" / name).stat().st_mode
        assert (above / "out" / name).stat().st_mode == wanted


@pytest.mark.parametrize("large", [1, 1000])
@pytest.mark.parametrize("content", Content)
def test_however_it_is_made_it_is_the_same(
    store: Store, tree: Tree, scratch: Path, usual: dict[str, object], large: int, content: Content,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(checkout, "_LARGE", large)  # by two processes
    monkeypatch.setattr(checkout, "processors", lambda: 2)
    (scratch / "here").mkdir()
    assert made(store, tree, scratch / "here", content) == usual


def test_a_commit_that_does_not_say_which_files_are_empty(
    store: Store, tree: Tree, scratch: Path, usual: dict[str, object]
) -> None:
    older = Tree(store.repository, tree.root, tree.commit)
    (scratch / "here").mkdir()
    assert made(store, older, scratch / "here") == usual
    assert (scratch / "here/out/hollow").stat().st_nlink == 1


@pytest.mark.parametrize("large", [1, 1000])
def test_a_missing_object_leaves_nothing(
    store: Store, tree: Tree, scratch: Path, large: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkout, "_LARGE", large)
    node = tree.root.nodes["link"]
    assert isinstance(node, bytes)
    (scratch / f"repo/objects/{node.hex()[:2]}/{node.hex()[2:]}.file").unlink()
    (scratch / "here").mkdir()
    with pytest.raises(Damaged, match="missing object"):
        made(store, tree, scratch / "here")
    assert os.listdir(scratch / "here") == []
