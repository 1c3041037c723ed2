# SPDX-License-Identifier: LGPL-2.1-or-later
"""Signatures travel with their images, and skopeo believes them where they arrive."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from atomic_sys.model.digest import Digest
from atomic_sys.trust.framing import frame, unframe
from tests.conformance.copying import Root, Signer, content, run
from tests.support.indexes import IndexedImage, indexed_layout
from tests.support.registry import docker_registry
from tests.support.sigstore import attach, new_key, payload, public_pem

pytestmark = pytest.mark.conformance
NAME = "example.com/ns/image:1"
REJECTED = 6


@dataclass(frozen=True)
class Place:
    """An index in a layout, a registry with a lookaside store, a policy that wants a signature."""

    image: IndexedImage
    host: str
    root: Root
    signer: Signer
    directory: Path

    def skopeo(self, source: str, target: str, *options: str) -> bool:
        return self.root.skopeo(source, target, *options)

    def signed(self, name: str, *digests: Digest, extent: str = "--multi-arch=system") -> Path:
        """A `dir:` of skopeo's with signatures of these manifests."""
        path = self.directory / name
        run("skopeo", "copy", "--quiet", extent, f"oci:{self.image.path}:multi", f"dir:{path}")
        for digest in digests:
            top = Digest.of((path / "manifest.json").read_bytes())
            prefix = "" if digest == top else f"{digest.hex}."
            signature = self.signer.sign(NAME, digest)
            (path / f"{prefix}signature-1").write_bytes(signature)
        return path


@pytest.fixture
def place(tmp_path: Path, signer: Signer) -> Iterator[Place]:
    root = Root(tmp_path / "root")
    root.policy(signer.policy(NAME))
    with docker_registry(tmp_path) as host:
        root.insecure(host)
        store = f"file://{tmp_path}/staging"
        text = f"docker:\n  {host}:\n    lookaside-staging: {store}\n    lookaside: {store}\n"
        (root.path / "etc/containers/registries.d/test.yaml").write_text(text)
        image = indexed_layout(tmp_path / "layout")
        yield Place(image, host, root, signer, tmp_path)


def test_to_a_registry(place: Place) -> None:
    """dir: -> docker://, with the signature in the lookaside store, where skopeo finds it."""
    digest = place.image.instances["amd64"]
    source, target = place.signed("source", digest), f"docker://{place.host}/ns/image:1"
    place.root.atomic("copy", f"dir:{source}", target)
    (stored,) = (place.directory / "staging").rglob("signature-*")
    assert str(stored).endswith(f"/staging/ns/image@sha256={digest.hex}/signature-1")
    assert place.skopeo(target, f"dir:{place.directory}/by-skopeo")
    assert content(place.directory / "by-skopeo") == content(source)
    place.root.atomic("copy", target, f"dir:{place.directory}/by-us")
    assert content(place.directory / "by-us") == content(source)
    # What is signed twice in a second is the same signature.
    another = place.signer.sign(NAME, digest, creator="another")
    (source / "signature-1").write_bytes(another)
    place.root.atomic("copy", f"dir:{source}", target)
    assert stored.with_name("signature-2").read_bytes() == another, "the first one stays"
    place.root.atomic("copy", f"dir:{source}", target)
    assert len(list(stored.parent.iterdir())) == 2, "and none is there twice"


def test_without_a_signature(place: Place) -> None:
    source = place.signed("source")
    target = f"docker://{place.host}/ns/image:1"
    said = place.root.atomic("copy", f"dir:{source}", target, status=REJECTED)
    assert "a signature is required" in said
    assert not place.skopeo(f"dir:{source}", target)
    place.root.atomic("copy", f"dir:{source}", f"dir:{place.directory}/copy", status=REJECTED)
    assert not (place.directory / "copy").exists(), "nothing is opened for what is rejected"


def test_no_place_for_signatures(place: Place) -> None:
    source = place.signed("source", place.image.instances["amd64"])
    target = f"oci:{place.directory}/copy:1"
    said = place.root.atomic("copy", f"dir:{source}", target, status=1)
    assert "--remove-signatures" in said
    assert "Copying" not in said
    place.root.atomic("copy", "--remove-signatures", f"dir:{source}", target)
    text = f"docker:\n  {place.host}:\n    lookaside: https://example.invalid/\n"
    (place.root.path / "etc/containers/registries.d/test.yaml").write_text(text)
    registry = f"docker://{place.host}/ns/image:1"
    said = place.root.atomic("copy", f"dir:{source}", registry, status=1)
    assert "lookaside-staging" in said
    assert "Copying" not in said
    place.root.atomic("copy", "--remove-signatures", f"dir:{source}", registry)


@pytest.mark.parametrize(
    "signed", [("amd64", "arm64"), ("amd64",), ("index",), ("index", "amd64", "arm64"), ()]
)
def test_all_instances_are_judged(place: Place, signed: tuple[str, ...]) -> None:
    digests = {"index": place.image.index, **place.image.instances}
    source = place.signed("source", *(digests[what] for what in signed), extent="--all")
    accepted = {"amd64", "arm64"} <= set(signed)
    assert place.skopeo(f"dir:{source}", f"dir:{place.directory}/theirs", "--all") is accepted
    status = 0 if accepted else REJECTED
    ours = place.directory / "ours"
    place.root.atomic("copy", "--all", f"dir:{source}", f"dir:{ours}", status=status)
    if not accepted:
        return
    assert content(ours) == content(source) == content(place.directory / "theirs")
    target = f"docker://{place.host}/ns/image:1"
    place.root.atomic("copy", "--all", f"dir:{source}", target)
    assert place.skopeo(target, f"dir:{place.directory}/back", "--all")
    assert content(place.directory / "back") == content(source)


@pytest.mark.parametrize("signed", [True, False])
def test_an_index_alone_is_judged(place: Place, *, signed: bool) -> None:
    digests = [place.image.index] if signed else list(place.image.instances.values())
    source = place.signed("source", *digests, extent="--all")
    target = f"dir:{place.directory}/copy"
    status = 0 if signed else REJECTED
    place.root.atomic("copy", "--multi-arch=index-only", f"dir:{source}", target, status=status)


def test_from_the_store(place: Place) -> None:
    """The store keeps signatures: what is pushed has them, and is judged by today's policy."""
    digest = place.image.instances["amd64"]
    source = place.signed("source", digest)
    place.root.atomic("copy", f"dir:{source}", "ostree:here:1")
    target = f"{place.host}/ns/image:2"
    place.root.atomic("push", "here:1", target)
    assert place.skopeo(f"docker://{target}", f"dir:{place.directory}/by-skopeo")
    assert content(place.directory / "by-skopeo") == content(source)
    place.root.policy({"default": [{"type": "reject"}]})
    place.root.atomic("push", "here:1", target, status=REJECTED)


def test_attachments_to_a_registry(place: Place) -> None:
    """Sigstore's go where skopeo finds them, if registries.d says so; none goes twice."""
    digest, key = place.image.instances["amd64"], new_key()
    signatures = [frame(attach(payload(digest, name), key)) for name in (NAME, f"{NAME}.1")]
    source = place.signed("source")
    for number, signature in enumerate(signatures, 1):
        (source / f"signature-{number}").write_bytes(signature)
    (place.directory / "key.pub").write_bytes(public_pem(key))
    identity = {"type": "exactReference", "dockerReference": NAME}
    requirement = {"type": "sigstoreSigned", "keyPath": f"{place.directory}/key.pub"}
    place.root.policy({"default": [requirement | {"signedIdentity": identity}]})
    target = f"docker://{place.host}/ns/image:1"
    said = place.root.atomic("copy", f"dir:{source}", target, status=1)
    assert "use-sigstore-attachments" in said
    assert "Copying" not in said
    text = f"docker:\n  {place.host}:\n    use-sigstore-attachments: true\n"
    (place.root.path / "etc/containers/registries.d/test.yaml").write_text(text)
    for _ in range(2):
        place.root.atomic("copy", f"dir:{source}", target)
        back = place.directory / "back"
        shutil.rmtree(back, ignore_errors=True)
        registries = f"--registries.d={place.root.path}/etc/containers/registries.d"
        argv = ("--insecure-policy", "copy", "--quiet", "--src-tls-verify=false")
        run("skopeo", registries, *argv, target, f"dir:{back}")
        found = [(back / f"signature-{number}").read_bytes() for number in (1, 2)]
        assert [unframe(f, "") for f in found] == [unframe(s, "") for s in signatures]
        assert not (back / "signature-3").exists()
    # From one registry's repository to another, and judged there.
    other = f"docker://{place.host}/ns/other:2"
    place.root.atomic("copy", target, other)
    place.root.atomic("pull", other)
