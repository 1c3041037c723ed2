# SPDX-License-Identifier: LGPL-2.1-or-later
"""Layers upon layers: image-spec layer.md as tables, and a slow model for the rest."""

import itertools
from collections.abc import Iterable, Sequence
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atomic_sys.model.layer import (
    Directory,
    Entry,
    HardLink,
    LayerPath,
    Metadata,
    OpaqueWhiteout,
    RegularFile,
    SpecialFile,
    Symlink,
    Whiteout,
)
from atomic_sys.store import tree
from atomic_sys.store.layer_builder import LayerBuilder
from atomic_sys.store.merge import merge
from atomic_sys.store.tree import InvalidLayer, Layer, resolve

META = Metadata(1, 1, 0o700)
OTHER = Metadata(2, 2, 0o711)
Flat = dict[LayerPath, "bytes | Metadata"]


def path(text: str) -> LayerPath:
    return tuple(part for part in text.split("/") if part)


def file(text: str, content: str = "") -> tuple[Entry, bytes]:
    return RegularFile(path(text), META, 0), (content or text).encode()


def symlink(text: str, target: str) -> tuple[Entry, bytes]:
    return Symlink(path(text), META, target), b"->" + target.encode()


def directory(text: str, metadata: Metadata = META) -> tuple[Entry, None]:
    return Directory(path(text), metadata), None


def link(text: str, target: str) -> tuple[Entry, None]:
    return HardLink(path(text), path(target)), None


def gone(text: str) -> tuple[Entry, None]:
    return Whiteout(path(text)), None


def opaque(text: str) -> tuple[Entry, None]:
    return OpaqueWhiteout(path(text)), None


Items = Sequence[tuple[Entry, bytes | None]]


def layer(items: Iterable[tuple[Entry, bytes | None]]) -> Layer:
    builder = LayerBuilder()
    for entry, content in items:
        builder.add(entry, content)
    return builder.finish()


def read_link(content: bytes) -> str | None:
    return content[2:].decode() if content.startswith(b"->") else None


def merged(*layers: Items) -> tree.Directory:
    root = tree.Directory(tree.IMPLIED)
    for items in layers:
        merge(root, layer(items), read_link)
    return root


def flat(root: tree.Directory, prefix: LayerPath = ()) -> Flat:
    found: Flat = {prefix: root.metadata}
    for name, node in root.nodes.items():
        here = (*prefix, name)
        found.update(flat(node, here) if isinstance(node, tree.Directory) else {here: node})
    return found


def names(root: tree.Directory) -> list[str]:
    """Files as their content, directories by a slash at their end."""
    return sorted(
        f"{'/'.join(at)}={node.decode()}" if isinstance(node, bytes) else f"{'/'.join(at)}/"
        for at, node in flat(root).items()
        if at
    )


LOWER = [directory("d"), file("d/f"), file("d/g"), directory("d/e"), file("d/e/h"), file("top")]


@pytest.mark.parametrize(
    ("upper", "expected"),
    [
        ([], ["d/", "d/e/", "d/e/h=d/e/h", "d/f=d/f", "d/g=d/g", "top=top"]),
        ([gone("d")], ["top=top"]),
        ([gone("d/f"), gone("nothing"), gone("no/where")],
         ["d/", "d/e/", "d/e/h=d/e/h", "d/g=d/g", "no/", "top=top"]),
        ([opaque("d"), file("d/n")], ["d/", "d/n=d/n", "top=top"]),
        ([opaque("")], []),
        ([opaque(""), file("new")], ["new=new"]),
        ([gone("d"), file("d/f", "new")], ["d/", "d/f=new", "top=top"]),
        ([gone("top"), file("top", "new"), gone("d")], ["top=new"]),
        ([file("d", "file")], ["d=file", "top=top"]),
        ([directory("top"), file("top/x")],
         ["d/", "d/e/", "d/e/h=d/e/h", "d/f=d/f", "d/g=d/g", "top/", "top/x=top/x"]),
        ([gone("d/e"), gone("d/g"), link("l", "d/g"), link("m", "l")],
         ["d/", "d/f=d/f", "l=d/g", "m=d/g", "top=top"]),
        ([gone("d"), file("a"), link("z", "a"), link("b/c", "z")],
         ["a=a", "b/", "b/c=a", "top=top", "z=a"]),
        ([(SpecialFile(("top",), "fifo"), None), gone("d")], []),
    ],
)  # fmt: skip
def test_whiteouts_and_types(upper: Items, expected: list[str]) -> None:
    for items in itertools.islice(itertools.permutations(upper), 24):
        assert names(merged(LOWER, items)) == expected


def test_metadata_of_a_parent_without_an_entry_stays() -> None:
    root = merged([directory("", META), directory("d", META)], [file("d/e/f")])
    assert flat(root)[()] == META
    assert flat(root)["d",] == META
    assert flat(root)["d", "e"] == tree.IMPLIED
    assert flat(merged([directory("d", META)], [directory("d", OTHER)]))["d",] == OTHER


def test_what_an_implied_parent_is_a_link_to_takes_the_file() -> None:
    lower = [directory("usr/lib"), symlink("lib", "/usr/lib"), symlink("lost", "nowhere")]
    upper = [file("lib/sub/so"), file("lost/x"), gone("lib/missing")]
    expected = ["lib=->/usr/lib", "lost/", "lost/x=lost/x", "usr/", "usr/lib/", "usr/lib/sub/",
                "usr/lib/sub/so=lib/sub/so"]  # fmt: skip
    assert names(merged(lower, upper)) == expected


def test_a_stated_directory_replaces_a_link() -> None:
    lower = [directory("usr/lib"), symlink("lib", "usr/lib")]
    assert names(merged(lower, [directory("lib"), file("lib/so")])) == [
        "lib/", "lib/so=lib/so", "usr/", "usr/lib/",
    ]  # fmt: skip


def test_whiteouts_go_through_links_inside_the_tree_only() -> None:
    lower = [file("etc/passwd"), directory("home"), symlink("home/l", "../../../etc")]
    assert names(merged(lower, [gone("home/l/passwd")])) == [
        "etc/",
        "home/",
        "home/l=->../../../etc",
    ]
    hidden = merged(lower, [gone("home/l"), file("home/l/passwd", "own")])
    assert names(hidden) == ["etc/", "etc/passwd=etc/passwd", "home/", "home/l/",
                             "home/l/passwd=own"]  # fmt: skip


@pytest.mark.parametrize(
    "items",
    [
        [file("")],
        [symlink("", "/etc")],
        [gone("")],
        [file("a"), file("a/b")],
        [file("a/b"), file("a")],
        [file("a"), directory("a")],
        [directory("a"), link("a", "b")],
        [symlink("l", "/etc"), file("l/passwd")],
        [link("a", "a")],
        [directory("d"), link("a", "d")],
        [link("a", "")],
        [link("a", "x"), file("a/b")],
        [(RegularFile(("..",), META, 0), b"")],
        [(RegularFile(("a", ".", "b"), META, 0), b"")],
        [(RegularFile(("a/b",), META, 0), b"")],
        [(RegularFile(("a\0b",), META, 0), b"")],
        [(RegularFile(("a\udcff",), META, 0), b"")],
        [(RegularFile(("n" * 256,), META, 0), b"")],
        [(RegularFile((".wh.a",), META, 0), b"")],
        [(HardLink(("a",), ("..", "etc", "shadow")), None)],
        [(Directory(("d",) * 257, META), None)],
    ],
)
def test_hostile_layers_are_refused(items: Items) -> None:
    for order in (items, list(reversed(items))):
        with pytest.raises(InvalidLayer):
            layer(order)


@pytest.mark.parametrize("target", ["nothing", "d"])
def test_a_link_to_nothing_below_is_refused(target: str) -> None:
    with pytest.raises(InvalidLayer, match="hard link"):
        merged([directory("d")], [link("a", target)])


def test_a_link_keeps_what_it_meant_though_the_target_is_replaced() -> None:
    root = merged([file("a", "old")], [link("b", "a"), gone("a")])
    assert names(root) == ["b=old"]


def test_later_entries_of_a_name_win() -> None:
    assert names(merged([file("a", "1"), link("a", "b"), file("b"), file("a", "2")])) == [
        "a=2", "b=b",
    ]  # fmt: skip
    assert names(merged([file("b"), file("a", "1"), link("a", "b")])) == ["a=b", "b=b"]


def test_a_file_without_content_is_a_mistake_of_ours() -> None:
    with pytest.raises(TypeError):
        LayerBuilder().add(RegularFile(("a",), META, 0))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a/b/f", "a/b/f"),
        ("/a/./b//f", "a/b/f"),
        ("../../a/b/f", "a/b/f"),
        ("l/f", "a/b/f"),
        ("abs/f", "a/b/f"),
        ("up/a/b/f", "a/b/f"),
        ("chain/f", "a/b/f"),
        ("a/b/f/", None),
        ("loop", None),
        ("loop/x", None),
        ("dangling", None),
        ("a/b/f/x", None),
        ("a/nothing/../b/f", None),
        ("", ""),
    ],
)
def test_resolve(text: str, expected: str | None) -> None:
    root = merged([file("a/b/f"), symlink("l", "a/b"), symlink("abs", "/a/b"),
                   symlink("up", "../../.."), symlink("chain", "l"), symlink("loop", "loop"),
                   symlink("dangling", "a/none")])  # fmt: skip
    found = resolve(root, tuple(text.split("/")), read_link)
    assert found == (None if expected is None else path(expected))


NAME = st.sampled_from("abc")
PATHS = st.lists(NAME, min_size=1, max_size=3).map(tuple)
ITEMS = st.lists(
    st.one_of(
        PATHS.map(lambda p: file("/".join(p), "x")),
        st.tuples(PATHS, st.sampled_from([META, OTHER])).map(
            lambda item: directory("/".join(item[0]), item[1])
        ),
        PATHS.map(lambda p: gone("/".join(p))),
        PATHS.map(lambda p: opaque("/".join(p))),
    ),
    max_size=8,
)


def model(lower: Flat, items: Items) -> Flat:
    """The same by two passes over a flat dictionary: first all that goes, then all that comes."""
    now = dict(lower)
    for entry, _ in items:
        depth = len(entry.path)
        if isinstance(entry, Whiteout):
            now = {at: n for at, n in now.items() if at[:depth] != entry.path}
        elif isinstance(entry, OpaqueWhiteout):
            now = {at: n for at, n in now.items() if at[:depth] != entry.path or len(at) <= depth}
    for entry, content in items:
        stated = isinstance(entry, Directory)
        parents = [entry.path[:depth] for depth in range(len(entry.path))]
        if isinstance(entry, Directory | OpaqueWhiteout):
            parents.append(entry.path)
        for parent in parents:
            if not isinstance(now.get(parent), Metadata):
                now[parent] = tree.IMPLIED
        if stated and isinstance(entry, Directory):
            now[entry.path] = entry.metadata
        if isinstance(entry, RegularFile) and content is not None:
            now = {at: n for at, n in now.items() if at[: len(entry.path)] != entry.path}
            now[entry.path] = content
    return now


@given(st.lists(ITEMS, max_size=4))
def test_merge_is_what_the_model_says(layers: list[list[tuple[Entry, bytes | None]]]) -> None:
    root = tree.Directory(tree.IMPLIED)
    expected: Flat = {(): tree.IMPLIED}
    for items in layers:
        try:
            delta = layer(items)
        except InvalidLayer:
            continue
        merge(root, delta, read_link)
        expected = model(expected, items)
        assert flat(root) == expected


@given(ITEMS, ITEMS, st.randoms())
def test_the_order_of_entries_is_free(
    lower: list[tuple[Entry, bytes | None]],
    upper: list[tuple[Entry, bytes | None]],
    random: Random,
) -> None:
    unique = list(
        {(type(entry), entry.path): (entry, content) for entry, content in upper}.values()
    )
    shuffled = list(unique)
    random.shuffle(shuffled)
    try:
        assert flat(merged(lower, unique)) == flat(merged(lower, shuffled))
    except InvalidLayer:
        return
