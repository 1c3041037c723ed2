# SPDX-License-Identifier: LGPL-2.1-or-later
"""The order in which scopes are looked up, and which scopes a transport can have."""

import pytest

from atomic_sys.errors import AtomicSysError
from atomic_sys.model.reference import DockerReference, InvalidReference
from atomic_sys.trust.requirements import InsecureAcceptAnything, Policy, Reject
from atomic_sys.trust.scopes import (
    ImageIdentity,
    docker_identity,
    nameless_identity,
    path_identity,
    scope_problem,
    select,
)

DIGEST = "sha256:" + "0123456789abcdef" * 4
NAMES: dict[str, list[str]] = {
    "example.com/ns/repo": ["example.com/ns/repo", "example.com/ns", "example.com", "*.com"],
    "example.com/repo": ["example.com/repo", "example.com", "*.com"],
    "localhost/ns/repo": ["localhost/ns/repo", "localhost/ns", "localhost"],
    "localhost/repo": ["localhost/repo", "localhost"],
    "notlocalhost/repo": [
        "docker.io/notlocalhost/repo", "docker.io/notlocalhost", "docker.io", "*.io",
    ],
    "docker.io/ns/repo": ["docker.io/ns/repo", "docker.io/ns", "docker.io", "*.io"],
    "docker.io/library/repo": ["docker.io/library/repo", "docker.io/library", "docker.io", "*.io"],
    "docker.io/repo": ["docker.io/library/repo", "docker.io/library", "docker.io", "*.io"],
    "ns/repo": ["docker.io/ns/repo", "docker.io/ns", "docker.io", "*.io"],
    "library/repo": ["docker.io/library/repo", "docker.io/library", "docker.io", "*.io"],
    "repo": ["docker.io/library/repo", "docker.io/library", "docker.io", "*.io"],
    "yet.another.example.com:8443/ns/repo": [
        "yet.another.example.com:8443/ns/repo", "yet.another.example.com:8443/ns",
        "yet.another.example.com:8443", "*.another.example.com", "*.example.com", "*.com",
    ],
    "[::1]:5000/repo": ["[::1]:5000/repo", "[::1]:5000"],
}  # fmt: skip


@pytest.mark.parametrize("suffix", [":tag", f"@{DIGEST}"])
@pytest.mark.parametrize("name", NAMES)
def test_docker_scopes(name: str, suffix: str) -> None:
    reference = DockerReference.parse(name + suffix)
    identity = docker_identity(reference)
    assert list(identity.scopes) == [NAMES[name][0] + suffix, *NAMES[name]]
    assert (identity.transport, identity.reference) == ("docker", reference)


@pytest.mark.parametrize("suffix", ["", f":tag@{DIGEST}"])
def test_docker_identity_needs_tag_or_digest(suffix: str) -> None:
    with pytest.raises(InvalidReference):
        docker_identity(DockerReference.parse(f"example.com/repo{suffix}"))


def test_path_scopes() -> None:
    identity = path_identity("oci", "/a/b/c")
    assert identity == ImageIdentity(
        transport="oci", scopes=("/a/b/c", "/a/b", "/a"), reference=None
    )
    assert path_identity("dir", "/").scopes == ()


@pytest.mark.parametrize("path", ["", "a", "/a/", "/a/../b", "/a//b", "//a"])
def test_path_must_be_clean(path: str) -> None:
    with pytest.raises(AtomicSysError):
        path_identity("dir", path)
    if path:
        assert scope_problem("dir", path)


SCOPES = [
    "", "unmatched", "deep.com", "*.very.deep.com", "*.deep.com", "deep.com/n1", "deep.com/n1/n2",
    "deep.com/n1/n2/n3", "deep.com/n1/n2/n3/repo", "deep.com/n1/n2/n3/repo:tag2",
]  # fmt: skip
POLICY = Policy(
    source="p",
    default=(InsecureAcceptAnything(),),
    transports={"docker": {scope: (Reject(),) for scope in SCOPES}, "atomic": {"unmatched": ()}},
)


@pytest.mark.parametrize(
    ("image", "scope"),
    [
        ("deep.com/n1/n2/n3/repo:tag2", "deep.com/n1/n2/n3/repo:tag2"),
        ("deep.com/n1/n2/n3/repo:nottag2", "deep.com/n1/n2/n3/repo"),
        ("deep.com/n1/n2/n3/notrepo:tag2", "deep.com/n1/n2/n3"),
        ("deep.com/n1/n2/notn3/repo:tag2", "deep.com/n1/n2"),
        ("deep.com/n1/notn2/n3/repo:tag2", "deep.com/n1"),
        ("deep.com/notn1/n2/n3/repo:tag2", "deep.com"),
        ("deep.com:5000/n1/n2/repo:tag2", ""),
        ("very.deep.com/n1/n2/n3/repo:tag2", "*.deep.com"),
        ("not.very.deep.com/n1/n2/n3/repo:tag2", "*.very.deep.com"),
        ("not.very.deep.com:80/repo:tag2", "*.very.deep.com"),
        ("this.does-not/match:anything", ""),
    ],
)
def test_first_scope_decides(image: str, scope: str) -> None:
    selection = select(POLICY, docker_identity(DockerReference.parse(image)))
    assert (selection.source, selection.transport, selection.scope) == ("p", "docker", scope)
    assert selection.requirements == (Reject(),)


@pytest.mark.parametrize("transport", ["atomic", "dir"])
def test_default_of_the_policy(transport: str) -> None:
    selection = select(POLICY, path_identity(transport, "/deep.com"))
    assert (selection.transport, selection.scope) == (None, None)
    assert selection.requirements == POLICY.default


HEX = "0123456789abcdef" * 4
FIT = [
    ("docker", "*"), ("docker", "example*.*.com"), ("unknown", "?"), ("ostree", "x"),
    ("dir", "/a"), ("oci", "/a/b:c"), ("sif", "/a"), ("oci-archive", "/a.tar"),
    ("docker-archive", ""), ("tarball", ""), ("atomic", "h:5000/ns/stream:tag"), ("atomic", "h"),
    ("docker-daemon", "busybox"), ("docker-daemon", "example.com:5000"),
    ("containers-storage", "[overlay@/var/lib]"), ("containers-storage", "[/var/lib]"),
    ("containers-storage", "[/var/lib]docker.io/library/x:y"),
    ("containers-storage", f"[/var/lib]@{HEX}"),
    ("containers-storage", f"[/var/lib]x@{DIGEST}"),
    ("containers-storage", f"[/var/lib]x@{DIGEST}@{HEX}"),
]  # fmt: skip
UNFIT = [
    ("dir", "/"), ("oci", "relative"), ("sif", "/a/."), ("oci-archive", "/a\n/"),
    ("docker-archive", "x"), ("tarball", "/x"), ("atomic", "h/n/s:t/u"), ("atomic", "h/n\n/s/:"),
    ("docker-daemon", DIGEST), ("containers-storage", "x"), ("containers-storage", "x]"),
    ("containers-storage", "[x]"), ("containers-storage", "[@/x]"), ("containers-storage", "[d@x]"),
    ("containers-storage", "[/x]y@z"), ("containers-storage", f"[/x]y@{HEX}@{DIGEST}"),
    ("containers-storage", f"[/x]y@{DIGEST}@{HEX}@{HEX}"),
]  # fmt: skip


@pytest.mark.parametrize(("transport", "scope"), FIT)
def test_scope_that_fits(transport: str, scope: str) -> None:
    assert scope_problem(transport, scope) is None


@pytest.mark.parametrize(("transport", "scope"), UNFIT)
def test_scope_that_does_not_fit(transport: str, scope: str) -> None:
    assert scope_problem(transport, scope)


def test_nameless() -> None:
    identity = nameless_identity("docker-archive")
    assert (identity.scopes, identity.reference) == ((), None)
