# SPDX-License-Identifier: LGPL-2.1-or-later
"""The tables of signedIdentity, and the same tables seen through two remaps."""

import pytest

from atomic_sys.model.reference import DockerReference
from atomic_sys.trust.identity import matches, remap
from atomic_sys.trust.requirements import (
    ExactReference,
    ExactRepository,
    Identity,
    MatchExact,
    MatchRepoDigestOrExact,
    MatchRepository,
    RemapIdentity,
)

D1 = "@sha256:" + "0123456789abcdef" * 4
D2 = "@sha256:" + "aa" * 32
RHEL = "registry.access.redhat.com/rhel7/rhel:7.2.3"
SAME = [
    ("busybox:latest", "busybox:latest"), (RHEL, RHEL), (f"busybox{D1}", f"busybox{D1}"),
    ("library/busybox:latest", "busybox:latest"),
    ("docker.io/library/busybox:latest", "busybox:latest"),
    (f"library/busybox{D1}", f"busybox{D1}"), (f"busybox:latest{D1}", f"busybox:latest{D1}"),
]  # fmt: skip
OTHER_TAG = [
    ("busybox:latest", "busybox:notlatest"), ("busybox:latest", f"busybox{D1}"),
    ("busybox", "busybox:latest"), ("busybox", f"busybox{D1}"), ("busybox", "busybox"),
    (f"busybox:latest{D1}", f"busybox:latest{D2}"), (f"busybox:latest{D1}", f"busybox:other{D1}"),
    (f"busybox:latest{D1}", f"busybox{D1}"), (f"busybox:latest{D1}", "busybox:latest"),
]  # fmt: skip
BY_DIGEST = [(f"busybox{D1}", f"busybox{D2}"), (f"busybox{D1}", "busybox:latest")]
OTHER_REPOSITORY = [
    ("busybox:latest", "notbusybox:latest"), ("busybox:latest", "notbusybox/busybox:latest"),
    ("busybox:latest", "hub.example/library/busybox:latest"), ("busybox:latest", RHEL),
    (f"busybox{D1}", f"notbusybox{D1}"), (RHEL, "registry.access.redhat.com/rhel7:7.2.3"),
    ("library/busybox:latest", "docker.io:443/library/busybox:latest"),
]  # fmt: skip
INVALID = ["UPPERCASE_IS_INVALID:latest", "", "0123456789abcdef" * 4, "a/", "x:y\n"]
REMAPS: list[RemapIdentity | None] = [
    None,
    RemapIdentity(prefix="unused.example", signed_prefix="other.example"),
]


def both_ways(rows: list[tuple[str, str]]) -> list[tuple[str, str]]:
    return [*rows, *((b, a) for a, b in rows)]


def check(identity: Identity, image: str, signed: str, *, expected: bool) -> None:
    assert matches(identity, DockerReference.parse(image), signed) is expected


@pytest.mark.parametrize(("image", "signed"), both_ways(SAME))
def test_same(image: str, signed: str) -> None:
    for identity in (MatchExact(), MatchRepoDigestOrExact(), MatchRepository()):
        check(identity, image, signed, expected=True)
    reference = DockerReference.parse(image)
    assert matches(ExactReference(reference), None, signed)
    assert matches(ExactRepository(reference), None, signed)


@pytest.mark.parametrize(("image", "signed"), both_ways(OTHER_TAG + BY_DIGEST))
def test_same_repository(image: str, signed: str) -> None:
    check(MatchExact(), image, signed, expected=False)
    check(MatchRepository(), image, signed, expected=True)
    reference = DockerReference.parse(image)
    assert not matches(ExactReference(reference), reference, signed)
    assert matches(ExactRepository(reference), None, signed)


@pytest.mark.parametrize("remapped", REMAPS)
@pytest.mark.parametrize(
    ("image", "signed", "expected"),
    [
        *((a, b, True) for a, b in both_ways(SAME)),
        *((a, b, False) for a, b in OTHER_TAG),
        ("busybox:latest", "busybox", False),
        (f"busybox{D1}", "busybox", False),
        (f"busybox{D1}", f"busybox{D2}", True),
        (f"busybox{D2}", f"busybox{D1}", True),
        (f"busybox{D1}", "busybox:latest", True),
        (f"busybox{D1}", f"busybox:latest{D1}", True),
        *((a, b, False) for a, b in both_ways(OTHER_REPOSITORY)),
    ],
)
def test_by_digest_or_exactly(
    remapped: RemapIdentity | None, image: str, signed: str, *, expected: bool
) -> None:
    check(remapped or MatchRepoDigestOrExact(), image, signed, expected=expected)


@pytest.mark.parametrize(("image", "signed"), both_ways(OTHER_REPOSITORY))
def test_other_repository(image: str, signed: str) -> None:
    reference = DockerReference.parse(image)
    for identity in (
        MatchExact(),
        MatchRepoDigestOrExact(),
        MatchRepository(),
        ExactReference(reference),
        ExactRepository(reference),
    ):
        assert not matches(identity, reference, signed)


@pytest.mark.parametrize("signed", INVALID)
def test_invalid_name_matches_nothing(signed: str) -> None:
    for identity in (MatchRepository(), ExactRepository(DockerReference.parse("busybox"))):
        check(identity, "busybox:latest", signed, expected=False)


def test_image_without_a_name() -> None:
    remapped = RemapIdentity(prefix="docker.io", signed_prefix="docker.io")
    for identity in (MatchExact(), MatchRepoDigestOrExact(), MatchRepository(), remapped):
        assert not matches(identity, None, "busybox:latest")


@pytest.mark.parametrize(
    ("prefix", "signed_prefix", "image", "expected"),
    [
        ("docker.io", "not-docker-signed.example/ns", "busybox:latest",
         "not-docker-signed.example/ns/library/busybox:latest"),
        ("docker.io/library", "vendor.example", f"busybox{D1}", f"vendor.example/busybox{D1}"),
        ("mirror.example", "vendor.example", "prefixmirror.example/ns/repo:1",
         "prefixmirror.example/ns/repo:1"),
        ("mirror.example", "vendor.example", "mirror.example.com/repo:1",
         "mirror.example.com/repo:1"),
        ("mirror.example", "vendor.example", "mirror.example:5000/repo:1",
         "mirror.example:5000/repo:1"),
        ("mirror.example/ns", "vendor.example", "mirror.example/nsx/repo:1",
         "mirror.example/nsx/repo:1"),
        ("mirror.example", "vendor.example:5000/a/b", f"mirror.example/ns/repo:1{D1}",
         f"vendor.example:5000/a/b/ns/repo:1{D1}"),
        ("mirror.example/repo", "vendor.example/other", "mirror.example/repo:1",
         "vendor.example/other:1"),
        ("mirror.example/repo", "vendor.example:5000", "mirror.example/repo:tag", None),
        ("mirror.example/repo", "vendor.example:5000", f"mirror.example/repo{D1}", None),
        ("mirror.example/repo", "notlocalhost", "mirror.example/repo:tag", None),
        ("mirror.example", "docker.io", "mirror.example/busybox:1", None),
    ],
)  # fmt: skip
def test_remap(prefix: str, signed_prefix: str, image: str, expected: str | None) -> None:
    identity = RemapIdentity(prefix=prefix, signed_prefix=signed_prefix)
    remapped = remap(identity, DockerReference.parse(image))
    assert (None if remapped is None else str(remapped)) == expected
    if expected is not None:
        check(identity, image, expected, expected=True)
    if expected != image:
        check(identity, image, image, expected=False)
