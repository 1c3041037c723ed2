# SPDX-License-Identifier: LGPL-2.1-or-later
"""Signatures that the registry keeps itself: skopeo writes what we read, and reads what we write.

registries.d names a lookaside store all the same, which nobody asks where the registry has them.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from atomic_sys.model.digest import Digest
from tests.conformance.copying import Root, Signer, content, run
from tests.support import images
from tests.support.registry import docker_registry
from tests.support.signing_registry import SigningRegistry, signing_registry

pytestmark = pytest.mark.conformance
REJECTED = 6


@dataclass(frozen=True, kw_only=True)
class World:
    """A registry with the API, an image in it, a signer, and the configuration of a host."""

    top: Path
    registry: SigningRegistry
    root: Root
    signer: Signer
    digest: Digest

    @property
    def image(self) -> str:
        return f"{self.registry.host}/ns/image:1"

    def trust(self, name: str) -> None:
        self.root.policy(self.signer.policy(name))

    def kept(self, name: str = "ns/image") -> list[bytes]:
        return self.registry.contents(name, self.digest)

    def sign(self, *words: str, status: int = 0) -> str:
        by = ("-g", str(self.signer.home), "--sign-by=vendor@example.com")
        return self.root.atomic("sign", *by, *words, status=status)

    def skopeo(self, source: str, target: str) -> bool:
        return self.root.skopeo(source, target)


@pytest.fixture
def world(tmp_path: Path, signer: Signer) -> Iterator[World]:
    root = Root(tmp_path / "root")
    with docker_registry(tmp_path) as behind, signing_registry(behind) as registry:
        root.insecure(registry.host)
        store = f"file://{tmp_path}/lookaside"
        (root.path / "etc/containers/registries.d/test.yaml").write_text(
            f"default-docker:\n  lookaside: {store}\n  use-sigstore-attachments: true\n"
        )
        layout = images.layout(tmp_path / "layout")
        source = f"oci:{layout}:latest"
        run("skopeo", "copy", "-q", "--insecure-policy", source, f"dir:{tmp_path}/image")
        digest = Digest.of((tmp_path / "image/manifest.json").read_bytes())
        world = World(top=tmp_path, registry=registry, root=root, signer=signer, digest=digest)
        root.atomic("copy", f"dir:{tmp_path}/image", f"docker://{world.image}")
        world.trust(world.image)
        yield world
        assert not (tmp_path / "lookaside").exists()


def test_signed_by_us(world: World) -> None:
    """skopeo rejects it before, and accepts it after; so do we."""
    docker = f"docker://{world.image}"
    assert not world.skopeo(docker, f"dir:{world.top}/unsigned")
    world.root.atomic("pull", world.image, status=REJECTED)
    said = world.sign(world.image)
    where = f"{world.registry.host}/extensions/v2/ns/image/signatures/{world.digest}"
    assert said == f"Created: {where}\n"
    assert len(world.kept()) == 1
    assert world.skopeo(docker, f"dir:{world.top}/signed")
    assert (world.top / "signed/signature-1").read_bytes() == world.kept()[0]
    world.root.atomic("pull", world.image)
    checked = world.root.atomic("trust", "check", "--json", world.image)
    assert f'"source": "{where}/{world.digest}@' in checked
    world.trust("example.com/another:1")
    assert not world.skopeo(docker, f"dir:{world.top}/no")
    world.root.atomic("pull", world.image, status=REJECTED)


def test_copied(world: World) -> None:
    """A copy brings its signatures along once, those that are there stay, whoever copies."""
    world.sign(world.image)
    assert world.skopeo(f"docker://{world.image}", f"dir:{world.top}/signed")
    target = f"docker://{world.registry.host}/ns/copy:1"
    for _ in range(2):
        world.root.atomic("copy", f"docker://{world.image}", target)
        assert world.kept("ns/copy") == world.kept()
    assert world.registry.puts == 2
    another = world.signer.sign(world.image, world.digest)
    (world.top / "signed/signature-1").write_bytes(another)
    world.root.atomic("copy", f"dir:{world.top}/signed", target)
    assert world.kept("ns/copy") == [*world.kept(), another]
    assert world.skopeo(f"dir:{world.top}/signed", target)
    assert len(world.kept("ns/copy")) == 2, "skopeo finds what we wrote"
    world.root.atomic("pull", world.image)
    world.root.atomic("push", world.image, f"{world.registry.host}/ns/pushed:1")
    assert world.kept("ns/pushed") == world.kept()


def test_signed_by_skopeo(world: World) -> None:
    """It writes the extension, and we read it."""
    (world.top / "image/signature-1").write_bytes(world.signer.sign(world.image, world.digest))
    assert world.skopeo(f"dir:{world.top}/image", f"docker://{world.image}")
    assert len(world.kept()) == 1
    world.root.atomic("copy", f"docker://{world.image}", f"dir:{world.top}/back")
    assert content(world.top / "back") == content(world.top / "image")


def test_attachments_travel_too(world: World) -> None:
    """sigstore's signatures are beside the image, also here, and skopeo finds them in the copy."""
    registries = world.root.path / "etc/containers/registries.d/test.yaml"
    world.root.policy({"default": [{"type": "insecureAcceptAnything"}]})
    (world.top / "secret").write_text("secret\n")
    secret = f"--sign-passphrase-file={world.top}/secret"
    world.root.atomic("trust", "generate-key", f"--output-prefix={world.top}/key", secret)
    key = f"--sign-by-sigstore-private-key={world.top}/key.private"
    world.sign(key, secret, world.image)
    target = f"{world.registry.host}/ns/copy:1"
    for source in (f"docker://{world.image}", f"docker://{world.image}", f"dir:{world.top}/back"):
        world.root.atomic("copy", source, f"docker://{target}")
        assert world.skopeo(f"docker://{target}", f"dir:{world.top}/back")
        one, two = (world.top / f"back/signature-{number}" for number in (1, 2))
        assert sorted(world.top.glob("back/signature-*")) == [one, two]
        assert {path.read_bytes()[:10] for path in (one, two)} > {b"\0sigstore-"}
    requirement = {"type": "sigstoreSigned", "keyPath": f"{world.top}/key.pub"}
    exact = {"type": "exactReference", "dockerReference": world.image}
    world.root.policy({"default": [requirement | {"signedIdentity": exact}]})
    world.root.atomic("pull", target)
    registries.write_text(registries.read_text().replace("true", "false"))
    said = world.root.atomic("copy", f"dir:{world.top}/back", f"docker://{target}", status=1)
    assert "use-sigstore-attachments: true" in said
    said = world.sign(key, secret, world.image)
    assert "hosts do not look for them" in said


def test_by_whom_atomic_conf_says(world: World) -> None:
    """Who is named by an option goes before who is named there; secret keys may be elsewhere."""
    conf = world.root.path / "etc/atomic.conf"
    said = world.root.atomic("sign", world.image, status=2)
    assert "No default identity (default_signer) was defined in /etc/atomic.conf" in said
    home = world.root.path / "keys"
    home.symlink_to(world.signer.home)
    conf.write_text("default_signer: vendor@example.com\ngnupg_homedir: /keys\n")
    world.root.atomic("sign", world.image)
    world.root.atomic("pull", world.image)
    said = world.root.atomic("sign", "--sign-by=nobody@example.com", world.image, status=4)
    assert f"no secret key nobody@example.com in {home}" in said
    conf.write_text("default_signer: nobody@example.com\n")
    world.sign(world.image)
    assert len(world.kept()) == 2


def test_a_lost_answer(world: World) -> None:
    """The signature was stored, but nobody said so: it is not there twice."""
    world.registry.failures = [502]
    world.sign(world.image)
    assert world.registry.puts == 2
    assert len(world.kept()) == 1


def test_an_image_has_no_name_without_its_signatures(world: World) -> None:
    """They come after the manifest, which the registry wants to have, and before the tag."""
    world.sign(world.image)
    world.registry.failures = [403]
    target = f"docker://{world.registry.host}/ns/copy:1"
    said = world.root.atomic("copy", f"docker://{world.image}", target, status=1)
    assert "atomic login" in said
    assert "404" in world.root.atomic("inspect", "--raw", target, status=4)
    world.root.atomic("copy", f"docker://{world.image}", target)
    assert world.skopeo(target, f"dir:{world.top}/signed")


@pytest.mark.parametrize(("status", "message"), [(403, "atomic login"), (404, "HTTP status 404")])
def test_refused(world: World, status: int, message: str) -> None:
    world.registry.failures = [status]
    assert message in world.sign(world.image, status=1)


def test_too_many(world: World) -> None:
    """Nobody reads more than 128: the one that would make all of them unreadable is not written."""
    key = ("ns/image", str(world.digest))
    one = world.signer.sign(world.image, world.digest)
    world.sign(world.image)
    (first,) = world.registry.signatures[key]
    world.registry.signatures[key] = [first] * 128
    assert "128 signatures already" in world.sign(world.image, status=1)
    assert world.registry.puts == 1
    world.registry.signatures[key] = [first | {"type": "other", "content": ""}] * 200
    world.sign(world.image)
    assert one not in world.kept()
