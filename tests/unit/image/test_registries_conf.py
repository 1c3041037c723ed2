# SPDX-License-Identifier: LGPL-2.1-or-later
"""registries.conf: grammar, matching, moving, drop-ins."""

from pathlib import Path

import pytest

from atomic_sys.image.registries_conf import InvalidRegistries, Registries, load, parse
from atomic_sys.model.reference import DockerReference, ImageName
from atomic_sys.model.stream import TooLarge

CONF = b"""
unqualified-search-registries = ["one.example:5000", "two.example"]
short-name-mode = "permissive"
[[registry]]
location = "a.example"
insecure = true
[[registry]]
prefix = "a.example/ns"
location = "b.example/other/"
[[registry]]
prefix = "a.example/ns/blocked"
location = "a.example/ns/blocked"
blocked = true
[[registry]]
prefix = "*.wild.example"
insecure = true
[[registry]]
prefix = "*.moved.example"
location = "new.example"
[[registry]]
prefix = "x.moved.example"
location = "literal.example"
[[registry]]
prefix = "docker.io"
location = "hub.example"
[[registry.mirror]]
location = "mirror.example"
insecure = true
[[registry]]
prefix = "nowhere.example"
location = "nohost"
[[registry]]
prefix = "bad.example"
location = "new.example/BAD"
"""
DIGEST = "@sha256:" + "a" * 64


@pytest.mark.parametrize(
    ("reference", "place", "insecure"),
    [
        ("a.example/x:1", "a.example/x:1", True),
        ("a.example/nsx:1", "a.example/nsx:1", True),
        ("a.example/ns:1", "b.example/other:1", False),
        ("a.example/ns/y" + DIGEST, "b.example/other/y" + DIGEST, False),
        ("a.example:5000/x:1", "a.example:5000/x:1", True),
        ("a.example.org/x:1", "a.example.org/x:1", False),
        ("xa.example/x:1", "xa.example/x:1", False),
        ("wild.example/x:1", "wild.example/x:1", False),
        ("h.wild.example:80/x:1", "h.wild.example:80/x:1", True),
        ("deep.h.wild.example/x:1", "deep.h.wild.example/x:1", True),
        ("h.wild.examples/x:1", "h.wild.examples/x:1", False),
        ("other.example/h.wild.example/x:1", "other.example/h.wild.example/x:1", False),
        ("y.moved.example/x:1", "new.example/x:1", False),
        ("x.moved.example/x:1", "literal.example/x:1", False),
        ("docker.io/library/busybox:1", "hub.example/library/busybox:1", False),
    ],
)
def test_place(reference: str, place: str, *, insecure: bool) -> None:
    found = parse(CONF, "conf").locate(DockerReference.parse(reference))
    assert (str(found.reference), found.insecure) == (place, insecure)


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("a.example/ns/blocked/x:1", "blocks"),
        ("nowhere.example/x:1", "no host"),
        ("bad.example/x:1", "moved by"),
    ],
)
def test_no_place(reference: str, message: str) -> None:
    with pytest.raises(InvalidRegistries, match=message):
        parse(CONF, "conf").locate(DockerReference.parse(reference))


@pytest.mark.parametrize(
    ("conf", "name", "reference"),
    [
        (b"", "busybox", "docker.io/library/busybox:latest"),
        (b"unqualified-search-registries = []", "busybox", "docker.io/library/busybox:latest"),
        (CONF, "busybox", "one.example:5000/busybox:latest"),
        (CONF, "a/busybox:1", "one.example:5000/a/busybox:1"),
        (CONF, "docker.io/busybox", "docker.io/library/busybox:latest"),
        (CONF, "index.docker.io/busybox", "docker.io/library/busybox:latest"),
        (CONF, "localhost/busybox", "localhost/busybox:latest"),
        (
            b'unqualified-search-registries = ["docker.io"]',
            "busybox",
            "docker.io/library/busybox:latest",
        ),
    ],
)
def test_unqualified(conf: bytes, name: str, reference: str) -> None:
    assert str(parse(conf, "conf").qualify(ImageName.parse(name))) == reference


def test_several_search_registries_are_noted(capsys: pytest.CaptureFixture[str]) -> None:
    parse(CONF, "conf").qualify(ImageName.parse("busybox"))
    assert "one.example:5000, the first of 2 registries" in capsys.readouterr().err


@pytest.mark.parametrize(
    "document",
    [
        b"\xff",
        b"a = ",
        b"registry = 1",
        b"registry = [1]",
        b"[[registry]]\n",
        b'[[registry]]\nprefix = "a"\n',
        b"[[registry]]\nlocation = 1\n",
        b'[[registry]]\nlocation = "https://a"\n',
        b'[[registry]]\nlocation = "a"\ninsecure = "true"\n',
        b'[[registry]]\nlocation = "a"\nblocked = 1\n',
        b'[[registry]]\nlocation = "a"\n[[registry]]\nlocation = "a"\n',
        b'[[registry]]\nprefix = "a.*.b"\nlocation = "a"\n',
        b'[[registry]]\nprefix = "*.b/c"\nlocation = "a"\n',
        b'[[registry]]\nlocation = "a"\n[[registry.mirror]]\nlocation = 1\n',
        b'unqualified-search-registries = "a"',
        b"unqualified-search-registries = [1]",
        b'unqualified-search-registries = [""]',
        b"[registries.search]\nregistries = []\n",
        b'[registries.search]\nregistries = []\n[[registry]]\nlocation = "a"\n',
        b'[[registry]]\nlocation = "docker://a"\n',
        b'[[registry]]\nlocation = "a"\n[[registry.mirror]]\nlocation = "http://b"\n',
        b'unqualified-search-registries = ["https://a"]',
        b'short-name-mode = "ask"',
        b'[aliases]\na = "b"',
    ],
)
def test_invalid(document: bytes) -> None:
    with pytest.raises(InvalidRegistries, match=r"^the file: "):
        parse(document, "the file")


def test_drop_ins(tmp_path: Path) -> None:
    drop_ins = tmp_path / "d"
    main = tmp_path / "registries.conf"
    assert load(str(main), str(drop_ins)) == Registries()
    drop_ins.mkdir()
    main.write_text(
        'unqualified-search-registries = ["main.example"]\n'
        '[[registry]]\nlocation = "a.example"\ninsecure = true\n'
        '[[registry]]\nlocation = "b.example"\ninsecure = true\n'
    )
    (drop_ins / "20.conf").write_text('[[registry]]\nlocation = "a.example"\nblocked = true\n')
    (drop_ins / "10.conf").write_text(
        'unqualified-search-registries = ["ten.example"]\n'
        '[[registry]]\nlocation = "a.example"\ninsecure = false\n'
    )
    (drop_ins / "30.disabled").write_text("nonsense")
    result = load(str(main), str(drop_ins))
    assert result.search == ("ten.example",)
    found = {r.prefix: (r.insecure, r.blocked) for r in result.registries}
    assert found == {"a.example": (False, True), "b.example": (True, False)}


def test_a_huge_file(tmp_path: Path) -> None:
    (tmp_path / "conf").write_bytes(b"#" * (2 << 20))
    with pytest.raises(TooLarge):
        load(str(tmp_path / "conf"), str(tmp_path / "d"))


@pytest.mark.parametrize(
    ("top", "mirror", "message"),
    [
        ('pull-from-mirror = "all"', "", "belongs to"),
        ("", 'pull-from-mirror = "some"', "cannot be 'some'"),
        ("mirror-by-digest-only = true", 'pull-from-mirror = "all"', "contradicts"),
        ("", "pull-from-mirror = 1", "not a string"),
        ("mirror-by-digest-only = 1", "", "neither true nor false"),
    ],
)
def test_mirrors_that_make_no_sense(top: str, mirror: str, message: str) -> None:
    conf = f'[[registry]]\nlocation="a.io"\n{top}\n[[registry.mirror]]\nlocation="b.io"\n{mirror}'
    with pytest.raises(InvalidRegistries, match=message):
        parse(conf.encode(), "conf")


def test_mirrors_by_digest_only() -> None:
    conf = '[[registry]]\nlocation="a.io"\nmirror-by-digest-only=true\n'
    found = parse(f'{conf}[[registry.mirror]]\nlocation="b.io"\n'.encode(), "conf")
    assert found.mirrors(DockerReference.parse("a.io/x:1")) == ()
    (place,) = found.mirrors(DockerReference.parse(f"a.io/x{DIGEST}"))
    assert str(place.reference) == f"b.io/x{DIGEST}"


@pytest.mark.parametrize(
    ("first", "second", "valid"),
    [
        ("insecure = true", "insecure = true", True),
        ("insecure = true", "", False),
        ("blocked = true", "insecure = true", False),
        ("blocked = true", "", False),
    ],
)
def test_one_location_has_one_nature(first: str, second: str, *, valid: bool) -> None:
    tables = (
        f'[[registry]]\nprefix = "{prefix}.io"\nlocation = "c.io"\n{more}\n'
        for prefix, more in (("a", first), ("b", second))
    )
    document = "".join(tables).encode()
    if valid:
        assert len(parse(document, "conf").registries) == 2
    else:
        with pytest.raises(InvalidRegistries, match=r"^conf: 'c.io' is insecure or blocked in"):
            parse(document, "conf")


def test_wildcards_without_location_share_nothing() -> None:
    conf = b'[[registry]]\nprefix="*.a.io"\ninsecure=true\n[[registry]]\nprefix="*.b.io"\n'
    assert len(parse(conf, "conf").registries) == 2


def test_aliases_of_all_files(tmp_path: Path) -> None:
    main, drop_ins, cache = tmp_path / "main", tmp_path / "d", tmp_path / "cache"
    drop_ins.mkdir()
    main.write_text(
        'unqualified-search-registries = ["s.io", "t.io"]\nshort-name-mode = "enforcing"\n'
        '[aliases]\na = "main.io/a"\nb = "main.io/b"\n"ns/c" = "main.io/c"\n'
    )
    (drop_ins / "1.conf").write_text('[aliases]\nb = "drop.io/b"\n"ns/c" = ""\n')
    cache.write_text(
        'short-name-mode = "disabled"\nunqualified-search-registries = ["cache.io"]\n'
        '[aliases]\na = "cache.io/a"\n'
    )
    found = load(str(main), str(drop_ins), str(cache))
    assert str(found.qualify(ImageName.parse("a:1"))) == "cache.io/a:1"
    assert str(found.qualify(ImageName.parse("b"))) == "drop.io/b:latest"
    with pytest.raises(InvalidRegistries, match=r"ns/c:latest: it may be in any of s.io, t.io"):
        found.qualify(ImageName.parse("ns/c"))
    assert str(load(str(main), str(drop_ins)).qualify(ImageName.parse("a"))) == "main.io/a:latest"
    assert load(str(main), str(drop_ins), str(tmp_path / "none")).search == ("s.io", "t.io")
