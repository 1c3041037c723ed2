# SPDX-License-Identifier: LGPL-2.1-or-later
"""sigstore's key pairs and signatures, ours and those of skopeo of Debian 13, each for the other.

The image is in a registry, where both attach signatures to it and look for them.
"""

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conformance.copying import ACCEPT, Root
from tests.support import images
from tests.support.newer_skopeo import newer_skopeo
from tests.support.registry import docker_registry

pytestmark = pytest.mark.conformance
REJECTED = 6


@dataclass(frozen=True, kw_only=True)
class World:
    """A registry, an image in a layout, the configuration of a host, and skopeo."""

    top: Path
    host: str
    root: Root
    program: tuple[str, ...]

    @property
    def secret(self) -> str:
        return f"--sign-passphrase-file={self.top}/secret"

    def skopeo(self, *words: str) -> subprocess.CompletedProcess[str]:
        etc = self.root.path / "etc/containers"
        argv = (*self.program, f"--policy={etc}/policy.json", f"--registries.d={etc}/registries.d")
        return subprocess.run([*argv, *words], capture_output=True, text=True, check=False)

    def copy(self, source: str, target: str, *options: str) -> bool:
        """Whether skopeo accepts and copies it."""
        tls = ("--src-tls-verify=false", "--dest-tls-verify=false", "-q", "--preserve-digests")
        done = self.skopeo("copy", *tls, *options, source, target)
        assert done.returncode == 0 or "Source image rejected" in done.stderr, done.stderr
        return done.returncode == 0

    def push(self, name: str, *options: str) -> str:
        """The image under this name."""
        self.root.policy(ACCEPT)
        image = f"{self.host}/ns/{name}:1"
        assert self.copy(f"oci:{self.top}/layout:latest", f"docker://{image}", *options)
        return image

    def trust(self, key: Path) -> None:
        """What is signed with this key, whatever its tag."""
        requirement = {
            "type": "sigstoreSigned",
            "keyPath": str(key),
            "signedIdentity": {"type": "matchRepository"},
        }
        self.root.policy({"default": [requirement]})

    def agree(self, image: str, key: Path, *, accepted: bool) -> None:
        """Both accept it by this key, or both do not."""
        self.trust(key)
        target = f"dir:{self.top}/copy-by-{key.stem}"
        assert self.copy(f"docker://{image}", target) is accepted
        self.root.atomic("pull", image, status=0 if accepted else REJECTED)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    root = Root(tmp_path / "root")
    (tmp_path / "secret").write_text("secret\n")
    images.layout(tmp_path / "layout")
    with docker_registry(tmp_path) as host:
        root.insecure(host)
        text = "default-docker: {use-sigstore-attachments: true}\n"
        (root.path / "etc/containers/registries.d/test.yaml").write_text(text)
        yield World(top=tmp_path, host=host, root=root, program=newer_skopeo())


def make_pair(world: World, maker: str) -> tuple[Path, Path]:
    """The private and the public key of a pair that this one made."""
    prefix = f"{world.top}/by-{maker}"
    if maker == "us":
        world.root.atomic("trust", "generate-key", f"--output-prefix={prefix}", world.secret)
    else:
        passphrase = f"--passphrase-file={world.top}/secret"
        done = world.skopeo("generate-sigstore-key", f"--output-prefix={prefix}", passphrase)
        assert done.returncode == 0, done.stderr
    return Path(f"{prefix}.private"), Path(f"{prefix}.pub")


def test_each_believes_the_other(world: World) -> None:
    """Whoever made the pair, and whoever signed with it; a key that did not sign is not believed.

    A second signature takes the place of none.
    """
    pairs = {maker: make_pair(world, maker) for maker in ("us", "skopeo")}
    for maker, (private, public) in pairs.items():
        key = f"--sign-by-sigstore-private-key={private}"
        by_skopeo = world.push(f"by-skopeo-with-{maker}", key, world.secret)
        by_us = world.push(f"by-us-with-{maker}")
        world.agree(by_us, public, accepted=False)
        world.root.atomic("sign", key, world.secret, by_us)
        ((_, other),) = (pair for name, pair in pairs.items() if name != maker)
        for image in (by_us, by_skopeo):
            world.agree(image, public, accepted=True)
            world.agree(image, other, accepted=False)
    image = f"{world.host}/ns/by-skopeo-with-us:1"
    key = f"--sign-by-sigstore-private-key={pairs['skopeo'][0]}"
    world.root.atomic("sign", key, world.secret, image)
    for _, public in pairs.values():
        world.agree(image, public, accepted=True)


def test_attachments_are_copied(world: World) -> None:
    """Skopeo believes a signature that we took along to another repository."""
    private, public = make_pair(world, "us")
    key = f"--sign-by-sigstore-private-key={private}"
    image = world.push("image", key, world.secret)
    target = f"{world.host}/ns/copy:1"
    world.root.atomic("copy", f"docker://{image}", f"docker://{target}")
    world.root.policy({"default": [{
        "type": "sigstoreSigned", "keyPath": str(public),
        "signedIdentity": {"type": "exactReference", "dockerReference": image},
    }]})  # fmt: skip
    assert world.copy(f"docker://{target}", f"dir:{world.top}/back")
    assert len(list((world.top / "back").glob("signature-*"))) == 1
