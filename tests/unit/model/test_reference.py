# SPDX-License-Identifier: LGPL-2.1-or-later
"""References as all registry clients read them, and names as the predecessor keeps them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atomic_sys.errors import UsageError
from atomic_sys.model.digest import Digest
from atomic_sys.model.reference import DockerReference, ImageName, InvalidReference, is_tag

D1 = "@sha256:" + "0123456789abcdef" * 4


@pytest.mark.parametrize("suffix", ["", ":latest", ":1.2_a-B", D1, ":latest" + D1])
@pytest.mark.parametrize(
    ("text", "full"),
    [
        ("example.com/ns/repo", "example.com/ns/repo"),
        ("example.com/repo", "example.com/repo"),
        ("localhost/ns/repo", "localhost/ns/repo"),
        ("localhost/repo", "localhost/repo"),
        ("localhost:5000/repo", "localhost:5000/repo"),
        ("notlocalhost/repo", "docker.io/notlocalhost/repo"),
        ("docker.io/ns/repo", "docker.io/ns/repo"),
        ("docker.io/library/repo", "docker.io/library/repo"),
        ("docker.io/repo", "docker.io/library/repo"),
        ("index.docker.io/repo", "docker.io/library/repo"),
        ("index.docker.io/ns/repo", "docker.io/ns/repo"),
        ("index.docker.io:443/repo", "index.docker.io:443/repo"),
        ("ns/repo", "docker.io/ns/repo"),
        ("library/repo", "docker.io/library/repo"),
        ("repo", "docker.io/library/repo"),
        ("yet.another.example.com:8443/ns/repo", "yet.another.example.com:8443/ns/repo"),
        ("[::1]:5000/repo", "[::1]:5000/repo"),
        ("Upper/repo", "Upper/repo"),
        ("a/b/c__d/e--f.g_h", "docker.io/a/b/c__d/e--f.g_h"),
    ],
)
def test_expanded(text: str, full: str, suffix: str) -> None:
    reference = DockerReference.parse(text + suffix)
    assert str(reference) == full + suffix
    assert reference.name == full
    assert DockerReference.parse(str(reference)) == reference
    tagged = reference.with_default_tag()
    assert tagged.tag == ("latest" if not suffix else reference.tag)
    assert tagged.digest == reference.digest


@pytest.mark.parametrize(
    "text",
    [
        "",
        ":tag",
        "UPPER",
        "ns/UPPER",
        "a//b",
        "/a",
        "a/",
        "a:",
        "a:b:c",
        "a:.tag",
        "a:" + "t" * 129,
        "a@",
        "a@sha256:abc",
        "a@md5:" + "a" * 32,
        "a" + D1.upper(),
        "a" * 64,
        "a" * 64 + ":tag",
        "a..b",
        "a___b",
        "-a",
        "a-",
        "../a",
        "a/../b",
        "a/./b",
        "a b",
        "a\nb",
        "ä",
        "host.example:port/a",
        "host_x.example/a",
        "-host.example/a",
        "host.example/",
        "example.com/" + "a" * 250,
        "https://example.com/a",
    ],
)
def test_invalid(text: str) -> None:
    with pytest.raises(InvalidReference):
        DockerReference.parse(text)
    with pytest.raises(InvalidReference):
        ImageName.parse(text)


def test_a_name_in_capitals_gets_a_hint() -> None:
    with pytest.raises(InvalidReference) as caught:
        DockerReference.parse("ns/Repo")
    assert caught.value.hint == "a name is in lower case"
    assert isinstance(caught.value, UsageError)


@pytest.mark.parametrize(
    ("text", "value", "container"),
    [
        ("busybox", "busybox:latest", "busybox"),
        ("busybox:1", "busybox:1", "busybox-1"),
        ("docker.io/busybox", "docker.io/busybox:latest", "busybox"),
        ("docker.io/library/busybox", "docker.io/busybox:latest", "busybox"),
        ("docker.io/library/a/b:1", "docker.io/a/b:1", "b-1"),
        ("h:5000/ns/etcd", "h:5000/ns/etcd:latest", "etcd"),
        ("ns/etcd" + D1, "ns/etcd" + D1, "etcd"),
        ("ns/etcd:3" + D1, "ns/etcd:3" + D1, "etcd-3"),
    ],
)
def test_image_names(text: str, value: str, container: str) -> None:
    name = ImageName.parse(text)
    assert str(name) == value
    assert name.default_container_name == container
    assert ImageName.parse(value) == name
    assert str(name.reference).endswith(value.partition("/")[2] or value)


@pytest.mark.parametrize(
    ("text", "repository", "tag"),
    [("h:5000/a", "h:5000/a", "latest"), ("a:1", "a", "1"), ("a" + D1, "a", "")],
)
def test_parts_of_a_name(text: str, repository: str, tag: str) -> None:
    name = ImageName.parse(text)
    assert (name.repository, name.tag) == (repository, tag)


@given(st.text(max_size=30))
def test_what_parses_is_stable(text: str) -> None:
    try:
        reference = DockerReference.parse(text)
    except InvalidReference:
        return
    assert DockerReference.parse(str(reference)) == reference


def test_tags() -> None:
    assert all(map(is_tag, ("a", "A.b-c_d", "1", "t" * 128)))
    assert not any(map(is_tag, ("", "-a", ".a", "a b", "a/b", "a\n", "ä", "t" * 129)))
    assert Digest.parse(D1[1:])


@pytest.mark.parametrize(
    ("text", "qualified"),
    [
        ("busybox", False),
        ("ns/busybox:1", False),
        ("localhost/busybox", True),
        ("docker.io/busybox", True),
        ("index.docker.io/busybox", True),
        ("h:5000/busybox:1", True),
    ],
)
def test_names_that_say_their_registry(text: str, *, qualified: bool) -> None:
    assert ImageName.parse(text).is_qualified is qualified
