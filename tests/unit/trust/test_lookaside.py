# SPDX-License-Identifier: LGPL-2.1-or-later
"""registries.d: which file says where the signatures of an image are."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atomic_sys.model.digest import Digest
from atomic_sys.model.reference import DockerReference
from atomic_sys.trust.lookaside import (
    DEFAULT_LOOKASIDE,
    DOCUMENT_LIMIT,
    InvalidLookaside,
    LookasideConfig,
    Section,
    lookaside_base,
    parse,
    signature_address,
    staging_base,
    uses_attachments,
)
from atomic_sys.trust.scopes import docker_identity, path_identity

HEX = "0123456789abcdef" * 4
DEFAULT = b"default-docker:\n  lookaside: https://default.example\n"
BY_SCOPE = b"""
unknown: [1, 2]
docker:
  example.com:
    lookaside: https://host.example/x
    lookaside-staging: file:///staging
  example.com/ns:
    sigstore: file:///old
    unknown: 1
  example.com/ns/new:
    sigstore: file:///old
    sigstore-staging: file:///old-staging
    lookaside: https://new.example
    use-sigstore-attachments: true
  example.com/ns/silent:
    use-sigstore-attachments: false
  example.com/ns/empty:
  "*.sub.example":
    lookaside: http://wild.example
"""


def base(config: LookasideConfig, name: str) -> str | None:
    return lookaside_base(config, docker_identity(DockerReference.parse(f"{name}:1")))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("example.com/other", "https://host.example/x"),
        ("example.com/ns/x", "file:///old"),
        ("example.com/ns/new", "https://new.example"),
        ("example.com/ns/silent", "file:///old"),
        ("example.com/ns/empty", "file:///old"),
        ("a.sub.example:5000/x", "http://wild.example"),
        ("sub.example/x", "https://default.example"),
        ("example.com:5000/x", "https://default.example"),
    ],
)
def test_most_specific_namespace(name: str, expected: str) -> None:
    assert base(parse([("a", DEFAULT), ("b", BY_SCOPE)]), name) == expected


def test_built_in_default() -> None:
    assert base(parse([]), "example.com/x") == DEFAULT_LOOKASIDE
    assert base(parse([("a", b""), ("b", b"docker:\n")]), "example.com/x") == DEFAULT_LOOKASIDE
    assert base(parse([("a", b"default-docker: {lookaside: ''}")]), "x.io/x") == DEFAULT_LOOKASIDE


def test_only_registries_have_one() -> None:
    assert lookaside_base(parse([("a", DEFAULT)]), path_identity("oci", "/a")) is None


def test_section() -> None:
    assert parse([("b", BY_SCOPE)]).docker["example.com/ns/new"] == Section(
        source="b",
        lookaside="https://new.example",
        staging="file:///old-staging",
        use_sigstore_attachments=True,
    )


def test_address() -> None:
    reference = DockerReference.parse("example.com/my/project:1")
    digest = Digest("sha256", HEX)
    for written in ("https://lookaside.example.com", "https://lookaside.example.com/"):
        assert (
            signature_address(written, reference, digest, 1)
            == f"https://lookaside.example.com/my/project@sha256={HEX}/signature-1"
        )


@pytest.mark.parametrize(
    "address",
    ["/var/lib", "lookaside.example.com", "ftp://x", "file://host/x", "https://x/?a", "https://x#",
     "https://x/\\n"],
)  # fmt: skip
def test_unusable_address(address: str) -> None:
    config = parse([("a.yaml", f'default-docker: {{lookaside: "{address}"}}'.encode())])
    with pytest.raises(InvalidLookaside, match=r"a\.yaml: the lookaside"):
        base(config, "example.com/x")


BROKEN: dict[str, tuple[bytes, str]] = {
    "not UTF-8": (b"\xff", "invalid YAML"),
    "syntax": (b"a: [", "invalid YAML"),
    "control": (b"a: \0", "invalid YAML"),
    "two documents": (b"a: 1\n---\nb: 1\n", "invalid YAML"),
    "large": (b"#" * (DOCUMENT_LIMIT + 1), "limit"),
    "deep": (b"[" * 20000, "deeply"),
    "date": (b"a: 2001-99-99", "invalid YAML"),
    "anchor": (b"a: &x 1", "anchors"),
    "alias": (b"docker: {a: &x {}, b: *x}", "anchors"),
    "bare alias": (b"*x", "anchors|invalid"),
    "tag": (b"!!python/object:os.system x", "tags"),
    "duplicate": (b"docker: {a: {}}\ndocker: {b: {}}", "duplicate key 'docker'"),
    "duplicate namespace": (b"docker:\n  a.b: {}\n  a.b: {}", "duplicate key 'a.b'"),
    "duplicate in a list": (b"x: [{a: 1, a: 2}]", "duplicate key 'a'"),
    "list": (b"[]", "f is not a mapping"),
    "number key": (b"docker: {5000: {}}", "5000 is not a string"),
    "docker list": (b"docker: []", "docker is not a mapping"),
    "section text": (b"docker: {a.b: x}", "docker: a.b is not a mapping"),
    "lookaside number": (b"default-docker: {lookaside: 1}", "lookaside is not a string"),
    "staging number": (b"default-docker: {sigstore-staging: 1}", "staging is not a string"),
    "use text": (b"default-docker: {use-sigstore-attachments: x}", "not a boolean"),
    "complex key": (b"? [a]\n: 1", "invalid YAML"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_broken(case: str) -> None:
    document, message = BROKEN[case]
    with pytest.raises(InvalidLookaside, match=message) as caught:
        parse([("f", document)])
    assert "\n" not in str(caught.value)


def test_two_files_about_the_same() -> None:
    with pytest.raises(InvalidLookaside, match=r"default-docker is in both a\.yaml and b\.yaml"):
        parse([("a.yaml", DEFAULT), ("b.yaml", DEFAULT)])
    with pytest.raises(InvalidLookaside, match=r"docker: example\.com is in both a\.yaml and b"):
        parse([("a.yaml", BY_SCOPE), ("b.yaml", b"docker: {example.com: {}}")])


YAML_TEXT = st.text(alphabet="a1:-[]{}?'\"!&*|>% \n=<.", max_size=30)


@given(st.binary(max_size=40) | YAML_TEXT.map(str.encode))
def test_never_crashes(document: bytes) -> None:
    with contextlib.suppress(InvalidLookaside):
        parse([("f", document)])


SECTIONS = parse([
    ("f", b"""
default-docker: {lookaside: 'file:///d', use-sigstore-attachments: true}
docker:
  example.com: {lookaside: 'https://l.example', lookaside-staging: 'file:///s'}
  example.com/ns: {use-sigstore-attachments: false}
  other.example: {lookaside: 'https://l.example'}
  odd.example: {lookaside: 'nfs://x'}
"""),
])  # fmt: skip


@pytest.mark.parametrize(
    ("name", "base"),
    [
        ("example.com/ns/repo:1", "file:///s"),
        ("plain.example/repo:1", "file:///d"),
    ],
)
def test_staging(name: str, base: str) -> None:
    assert staging_base(SECTIONS, docker_identity(DockerReference.parse(name))) == base


def test_no_staging() -> None:
    nothing = docker_identity(DockerReference.parse("example.com/a:1"))
    assert staging_base(LookasideConfig(docker={}), nothing) == DEFAULT_LOOKASIDE
    for name, reason in (("other.example/a:1", "Writing to https"), ("odd.example/a:1", "usable")):
        with pytest.raises(InvalidLookaside, match=reason):
            staging_base(SECTIONS, docker_identity(DockerReference.parse(name)))


@pytest.mark.parametrize(
    ("name", "used"), [("example.com/ns/repo:1", False), ("example.com/repo:1", True)]
)
def test_attachments(name: str, *, used: bool) -> None:
    assert uses_attachments(SECTIONS, docker_identity(DockerReference.parse(name))) is used


def test_no_attachments_unless_it_is_said() -> None:
    image = docker_identity(DockerReference.parse("example.com/a:1"))
    assert not uses_attachments(LookasideConfig(docker={}), image)


@pytest.mark.parametrize(
    ("document", "base"),
    [
        (b"{}", DEFAULT_LOOKASIDE),
        (b"default-docker: {lookaside: file:///read}", "file:///read"),
        (b"default-docker: {lookaside: https://h, lookaside-staging: file:///w}", "file:///w"),
        (b"default-docker: {sigstore: https://h, sigstore-staging: file:///w}", "file:///w"),
        (
            b"default-docker: {lookaside-staging: file:///w}\ndocker: {h.io: {lookaside: file:///r}}",
            "file:///r",
        ),
        (
            b"docker: {h.io: {use-sigstore-attachments: true}, h.io/a: {lookaside-staging: file:///a}}",
            "file:///a",
        ),
    ],
)
def test_where_signatures_are_written(document: bytes, base: str) -> None:
    identity = docker_identity(DockerReference.parse("h.io/a/b:1"))
    assert staging_base(parse([("f", document)]), identity) == base


@pytest.mark.parametrize("address", ["https://h/x", "http://h/x", "ftp://h/x", "file://x"])
def test_where_signatures_cannot_be_written(address: str) -> None:
    document = f"default-docker: {{lookaside: '{address}'}}".encode()
    with pytest.raises(InvalidLookaside):
        staging_base(parse([("f", document)]), docker_identity(DockerReference.parse("h/a:1")))
