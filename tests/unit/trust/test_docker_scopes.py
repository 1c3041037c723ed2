# SPDX-License-Identifier: LGPL-2.1-or-later
"""Scopes of registries: which can match, compared with what the look-up of images tries."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atomic_sys.model.reference import DockerReference
from atomic_sys.trust.docker_scopes import images_of, problem
from atomic_sys.trust.scopes import docker_identity

DIGEST = "sha256:" + "a" * 64


@pytest.mark.parametrize(
    "scope",
    [
        "",
        "example.com",
        "example.com:5000",
        "localhost",
        "localhost:5000/x",
        "[::1]:5000",
        "example.com/ns",
        "example.com/ns/repo:tag",
        f"example.com/ns/repo@{DIGEST}",
        "docker.io/library",
        "docker.io/library/busybox:latest",
        "docker.io/ns",
        "*.example.com",
        "*.com",
    ],
)
def test_can_match(scope: str) -> None:
    assert problem(scope) is None


@pytest.mark.parametrize(
    ("scope", "reason"),
    [
        ("busybox", "such as docker.io/library/busybox"),
        ("busybox:latest", "such as docker.io/library/busybox:latest"),
        ("ns/repo", "such as docker.io/ns/repo"),
        ("BUSY_BOX", "not HOST"),
        ("*", "wildcard"),
        ("*.example.com:5000", "wildcard"),
        ("*.example.com/ns", "wildcard"),
        ("a*.example.com", "wildcard"),
        ("example.com/*", "wildcard"),
        ("docker://example.com/ns", "scheme"),
        ("example.com/", "invalid image name"),
        ("example.com/NS", "invalid image name"),
        ("example.com/ns//repo", "invalid image name"),
        ("example.com:port", "not HOST"),
        (f"example.com/ns/repo:1@{DIGEST}", "not by both"),
        ("docker.io/busybox:latest", "full name of the image is docker.io/library/busybox:latest"),
        ("index.docker.io/library", "judged as those of docker.io"),
    ],
)
def test_cannot_match(scope: str, reason: str) -> None:
    assert reason in str(problem(scope))


LABEL = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,3}[a-z0-9])?", fullmatch=True)
HOSTS = st.builds(
    lambda labels, port: ".".join(labels) + port,
    st.lists(LABEL, min_size=2, max_size=4),
    st.sampled_from(["", ":1"]),
)
IMAGES = st.builds(
    lambda host, path, end: f"{host}/{'/'.join(path)}{end}",
    HOSTS,
    st.lists(st.from_regex(r"[a-z0-9]{1,4}", fullmatch=True), min_size=1, max_size=3),
    st.sampled_from([":tag", f"@{DIGEST}"]),
)


@settings(deadline=None)  # this machine may be busy
@given(IMAGES)
def test_every_scope_that_the_look_up_tries_has_no_problem(image: str) -> None:
    scopes = docker_identity(DockerReference.parse(image)).scopes
    for number, scope in enumerate(scopes):
        assert problem(scope) is None
        assert images_of(scope).scopes == scopes[number:]


@pytest.mark.parametrize(
    ("scope", "wider"),
    [
        ("", ()),
        ("busybox", ()),
        ("*.a.b", ("*.a.b", "*.b")),
        ("a.b:5", ("a.b:5", "*.b")),
        ("docker.io/ns", ("docker.io/ns", "docker.io", "*.io")),
    ],
)
def test_enclosing(scope: str, wider: tuple[str, ...]) -> None:
    assert images_of(scope).scopes == wider
