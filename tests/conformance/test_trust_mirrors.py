# SPDX-License-Identifier: LGPL-2.1-or-later
"""Images from mirrors: judged by the name that was asked for, by the signatures of where they are.

skopeo is asked the same. Each of the two places has its own directory in one lookaside store.
"""

import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from atomic_sys.model.digest import Digest
from tests.conformance.copying import ACCEPT, Root, run
from tests.support import images
from tests.support.gpg import Gpg, payload
from tests.support.registry import docker_registry

pytestmark = pytest.mark.conformance
REJECTED = 6
PLACES = ("primary", "mirror")
IDENTITIES: dict[str, dict[str, str] | None] = {
    "default": None,
    "remapped": {"type": "remapIdentity", "prefix": "HOST/primary", "signedPrefix": "HOST/mirror"},
    "repository": {"type": "exactRepository", "dockerRepository": "HOST/mirror/image"},
}


@dataclass(frozen=True, kw_only=True)
class World:
    """A registry with the image below HOST/primary or HOST/mirror, and the key of Alice."""

    top: Path
    host: str
    root: Root
    digest: Digest

    def sign(self, gpg: Gpg, place: str, name: str) -> None:
        """Let the lookaside store have one signature, of this name at this place."""
        run("rm", "-rf", self.top / "lookaside")
        directory = self.top / f"lookaside/{place}/image@sha256={self.digest.hex}"
        directory.mkdir(parents=True)
        content = payload(name=f"{self.host}/{name}/image:1", digest=str(self.digest))
        (directory / "signature-1").write_bytes(gpg.sign("alice", content=content))

    def policy(self, identity: dict[str, str] | None) -> Path:
        requirement: dict[str, Any] = {
            "type": "signedBy", "keyType": "GPGKeys", "keyPath": str(self.top / "alice.gpg"),
        }  # fmt: skip
        if identity is not None:
            filled = {key: value.replace("HOST", self.host) for key, value in identity.items()}
            requirement["signedIdentity"] = filled
        return self.root.policy({"default": [requirement]})

    def skopeo(self, policy: Path, image: str) -> bool:
        etc = self.root.path / "etc/containers"
        options = (f"--policy={policy}", f"--registries.d={etc}/registries.d",
                   f"--registries-conf={etc}/registries.conf")  # fmt: skip
        copy = ("copy", "-q", "--src-tls-verify=false", f"docker://{image}")
        try:
            run("skopeo", *options, *copy, f"dir:{self.top}/copy")
        except AssertionError as error:
            assert "Source image rejected" in str(error)
            return False
        return True

    def ours(self, image: str) -> bool:
        run("rm", "-rf", self.root.path / "var")
        accepted = json.loads(self._check(image))["accepted"]
        self.root.atomic("pull", image, status=0 if accepted else REJECTED)
        return bool(accepted)

    def _check(self, image: str) -> str:
        for status in (0, REJECTED):
            try:
                return self.root.atomic("trust", "check", "--json", image, status=status)
            except AssertionError:
                continue
        raise AssertionError(image)


@pytest.fixture
def world(gpg: Gpg, tmp_path: Path) -> Iterator[World]:
    root = Root(tmp_path / "root")
    root.policy(ACCEPT)
    (tmp_path / "alice.gpg").write_bytes(gpg.public("alice"))
    layout = images.layout(tmp_path / "layout")
    run(
        "skopeo", "--insecure-policy", "copy", "-q", f"oci:{layout}:latest", f"dir:{tmp_path}/image"
    )
    digest = Digest.of((tmp_path / "image/manifest.json").read_bytes())
    with docker_registry(tmp_path) as host:
        etc = root.path / "etc/containers"
        (etc / "registries.conf").write_text(
            f'[[registry]]\nlocation = "{host}/primary"\ninsecure = true\n'
            f'[[registry.mirror]]\nlocation = "{host}/mirror"\ninsecure = true\n'
            f'[[registry]]\nlocation = "{host}/mirror"\ninsecure = true\n'
        )
        (etc / "registries.d/test.yaml").write_text(
            f"default-docker: {{lookaside: 'file://{tmp_path}/lookaside'}}\n"
        )
        yield World(top=tmp_path, host=host, root=root, digest=digest)


@pytest.mark.parametrize("where", PLACES)
def test_skopeo_agrees(where: str, gpg: Gpg, world: World) -> None:
    """The image is in one of the places only; the signature too, and it names either of them."""
    world.root.atomic("copy", f"dir:{world.top}/image", f"docker://{world.host}/{where}/image:1")
    image = f"{world.host}/primary/image:1"
    found = {}
    for place, name in itertools.product(PLACES, PLACES):
        world.sign(gpg, place, name)
        for kind, identity in IDENTITIES.items():
            theirs = world.skopeo(world.policy(identity), image)
            found[place, name, kind] = (theirs, world.ours(image))
    assert {cell: both for cell, both in found.items() if both[0] != both[1]} == {}
    assert {cell for cell, (_, us) in found.items() if us} == {
        (where, "primary", "default"),
        (where, "mirror", "remapped"),
        (where, "mirror", "repository"),
    }
