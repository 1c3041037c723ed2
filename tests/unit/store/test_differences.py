# SPDX-License-Identifier: LGPL-2.1-or-later
"""What differs between two trees, by the rules of containers/storage."""

import pytest

from atomic_sys.model.layer import Metadata
from atomic_sys.store.differences import compare
from atomic_sys.store.tree import IMPLIED, Directory, Node


def tree(**nodes: Node) -> Directory:
    return Directory(IMPLIED, dict(nodes))


X, Y = b"x" * 32, b"y" * 32


@pytest.mark.parametrize(
    ("old", "new", "added", "changed", "deleted"),
    [
        (tree(), tree(), "", "", ""),
        (tree(a=X, d=tree(b=Y)), tree(a=X, d=tree(b=Y)), "", "", ""),
        (tree(), tree(a=X), "/a", "", ""),
        (tree(a=X), tree(), "", "", "/a"),
        (tree(a=X), tree(a=Y), "", "/a", ""),
        (tree(), tree(d=tree(e=tree(f=X))), "/d /d/e /d/e/f", "", ""),
        (tree(d=tree(e=tree(f=X))), tree(), "", "", "/d"),
        (tree(d=tree(e=tree())), tree(d=tree(e=tree(f=X))), "/d/e/f", "/d /d/e", ""),
        (tree(d=tree(e=X, f=X)), tree(d=tree(f=X)), "", "/d", "/d/e"),
        (tree(d=tree(f=X)), tree(d=X), "", "/d", "/d/f"),
        (tree(d=X), tree(d=tree(f=X)), "/d/f", "/d", ""),
        (tree(d=tree(f=X)), tree(d=Directory(Metadata(0, 0, 0o700), {"f": X})), "", "/d", ""),
        (tree(), Directory(Metadata(1, 1, 0o700)), "", "", ""),
    ],
)
def test_differences(
    old: Directory, new: Directory, added: str, changed: str, deleted: str
) -> None:
    found = compare(old, new)
    assert found.added == tuple(added.split())
    assert found.changed == tuple(changed.split())
    assert found.deleted == tuple(deleted.split())


def test_paths_are_sorted() -> None:
    names = ["b", "a.b", "a", "ab"]
    new = Directory(IMPLIED, {name: tree(x=X) for name in names})
    expected = sorted([*(f"/{name}" for name in names), *(f"/{name}/x" for name in names)])
    assert list(compare(tree(), new).added) == expected
