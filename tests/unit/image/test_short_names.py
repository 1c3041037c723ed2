# SPDX-License-Identifier: LGPL-2.1-or-later
"""Aliases of names without a registry: grammar and meaning."""

import pytest

from atomic_sys.image.short_names import ShortNameMode, ShortNames, parse
from atomic_sys.image.toml_fields import InvalidFile
from atomic_sys.model.reference import ImageName

DIGEST = "@sha256:" + "a" * 64
ALIASES = {"fedora": "registry.example/fedora", "ns/tool": "localhost:5000/other/tool", "gone": ""}


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("fedora", "registry.example/fedora:latest"),
        ("fedora:39", "registry.example/fedora:39"),
        (f"fedora{DIGEST}", f"registry.example/fedora{DIGEST}"),
        (f"fedora:39{DIGEST}", f"registry.example/fedora:39{DIGEST}"),
        ("ns/tool:1", "localhost:5000/other/tool:1"),
        ("ns/fedora", None),
        ("gone", None),
        ("other", None),
        ("registry.example/fedora", None),
        ("docker.io/fedora", None),
    ],
)
def test_aliases(typed: str, meant: str | None) -> None:
    found = parse({"aliases": ALIASES}).resolve(ImageName.parse(typed))
    assert found is None if meant is None else str(found) == meant


@pytest.mark.parametrize(
    "aliases",
    [
        [],
        "a",
        {"a": 1},
        {"a": ["b.io/a"]},
        {"a:1": "b.io/a"},
        {f"a{DIGEST}": "b.io/a"},
        {"b.io/a": "c.io/a"},
        {"localhost/a": "c.io/a"},
        {"A": "b.io/a"},
        {"": "b.io/a"},
        {"a": "b"},
        {"a": "b/c"},
        {"a": "b.io/a:1"},
        {"a": f"b.io/a{DIGEST}"},
        {"a": "https://b.io/a"},
        {"a": "b.io/"},
        {"a\n": "b.io/a"},
    ],
    ids=str,
)
def test_invalid_aliases(aliases: object) -> None:
    with pytest.raises(InvalidFile, match="aliases"):
        parse({"aliases": aliases})


@pytest.mark.parametrize("mode", ["Enforcing", "none", 1, True, []])
def test_invalid_modes(mode: object) -> None:
    with pytest.raises(InvalidFile, match="short-name-mode"):
        parse({"short-name-mode": mode})


def test_what_is_not_said_comes_from_below() -> None:
    below = parse({"short-name-mode": "disabled", "aliases": {"a": "x.io/a", "b": "x.io/b"}})
    above = parse({"short-name-mode": "", "aliases": {"b": ""}})
    assert above.over(below) == ShortNames(
        aliases={"a": "x.io/a", "b": ""}, mode=ShortNameMode.DISABLED
    )
    assert parse({"short-name-mode": "permissive"}).over(below).mode is ShortNameMode.PERMISSIVE
