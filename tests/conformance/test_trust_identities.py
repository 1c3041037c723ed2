# SPDX-License-Identifier: LGPL-2.1-or-later
"""Every kind of identity, signed name and image reference: skopeo's verdict in a registry is ours.

Each signed name has a lookaside store of its own, so that there is exactly one signature to judge.
"""

import json
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from atomic_sys.model.digest import Digest
from atomic_sys.model.reference import DockerReference
from atomic_sys.trust.files import load_lookaside, load_policy, read_key_file
from atomic_sys.trust.gpg import GpgVerifier
from atomic_sys.trust.judge import ImageUnderJudgement, judge
from atomic_sys.trust.scopes import docker_identity, select
from atomic_sys.trust.signatures import read_signatures
from tests.support import images
from tests.support.gpg import Gpg, payload
from tests.support.registry import docker_registry

pytestmark = pytest.mark.conformance
OTHER = "sha256:" + "0" * 64
# What is signed: HOST is the registry, DIGEST the manifest's.
NAMES = {
    "tag": "HOST/ns/repo:1",
    "other-tag": "HOST/ns/repo:2",
    "no-tag": "HOST/ns/repo",
    "digest": "HOST/ns/repo@DIGEST",
    "other-digest": f"HOST/ns/repo@{OTHER}",
    "both": "HOST/ns/repo:1@DIGEST",
    "other-repository": "HOST/ns/other:1",
    "elsewhere": "vendor.example/ns/repo:1",
    "no-name": "HOST/NS/Repo:1",
    "empty": "",
}
IDENTITIES: dict[str, dict[str, str] | None] = {
    "default": None,
    "matchExact": {"type": "matchExact"},
    "matchRepoDigestOrExact": {"type": "matchRepoDigestOrExact"},
    "matchRepository": {"type": "matchRepository"},
    "exactReference": {"type": "exactReference", "dockerReference": "HOST/ns/repo:1"},
    "exactReference, digest": {"type": "exactReference", "dockerReference": "HOST/ns/repo@DIGEST"},
    "exactRepository": {"type": "exactRepository", "dockerRepository": "HOST/ns/repo"},
    "exactRepository, other": {"type": "exactRepository", "dockerRepository": "HOST/ns/other"},
    "remapped": {"type": "remapIdentity", "prefix": "HOST", "signedPrefix": "vendor.example"},
    "remapped deeper": {
        "type": "remapIdentity", "prefix": "HOST/ns", "signedPrefix": "vendor.example/ns",
    },
    "not remapped": {
        "type": "remapIdentity", "prefix": "HOST/n", "signedPrefix": "vendor.example/n",
    },
}  # fmt: skip
IMAGES = {"by tag": "HOST/ns/repo:1", "by digest": "HOST/ns/repo@DIGEST"}


@dataclass(frozen=True, kw_only=True)
class World:
    """A registry with one image, and a registries.d for each signed name."""

    top: Path
    host: str
    digest: Digest

    def fill(self, text: str) -> str:
        """The text with the registry and the digest in it."""
        return text.replace("HOST", self.host).replace("DIGEST", str(self.digest))


@pytest.fixture(scope="module")
def world(gpg: Gpg, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    top = tmp_path_factory.mktemp("identities")
    layout = images.layout(top / "layout")
    (top / "registry").mkdir()
    (top / "alice.gpg").write_bytes(gpg.public("alice"))
    with docker_registry(top / "registry") as host:
        to = f"docker://{host}/ns/repo:1"
        argv = ("skopeo", "--insecure-policy", "copy", "-q", "--dest-tls-verify=false")
        subprocess.run([*argv, "--preserve-digests", f"oci:{layout}:latest", to], check=True)
        entry = json.loads((layout / "index.json").read_text())["manifests"][0]
        world = World(top=top, host=host, digest=Digest.parse(entry["digest"]))
        for case, name in NAMES.items():
            store = top / case / f"store/ns/repo@sha256={world.digest.hex}"
            store.mkdir(parents=True)
            content = payload(name=world.fill(name), digest=str(world.digest))
            (store / "signature-1").write_bytes(gpg.sign("alice", content=content))
            configuration = f"default-docker:\n  lookaside: file://{top}/{case}/store\n"
            (top / case / "registries.yaml").write_text(configuration)
        yield world


def skopeo(world: World, policy: Path, case: str, image: str, scratch: Path) -> bool:
    options = (f"--policy={policy}", f"--registries.d={world.top / case}")
    argv = ("skopeo", *options, "copy", "--src-tls-verify=false", f"docker://{image}")
    done = subprocess.run([*argv, f"dir:{scratch}"], capture_output=True, text=True, check=False)
    assert done.returncode == 0 or "Source image rejected" in done.stderr, done.stderr
    return done.returncode == 0


def ours(world: World, policy: Path, case: str, image: str) -> bool:
    identity = docker_identity(DockerReference.parse(image))
    config = load_lookaside(str(world.top / case))
    under_judgement = ImageUnderJudgement(
        identity=identity,
        manifest_digest=world.digest,
        signatures=read_signatures(identity, world.digest, config, lambda *_: None),
    )
    selection = select(load_policy([str(policy)]).policy, identity)
    return judge(selection, under_judgement, read_key_file, GpgVerifier()).accepted


@pytest.mark.parametrize("kind", IDENTITIES)
def test_skopeo_agrees(kind: str, world: World, tmp_path: Path) -> None:
    requirement: dict[str, Any] = {
        "type": "signedBy", "keyType": "GPGKeys", "keyPath": str(world.top / "alice.gpg"),
    }  # fmt: skip
    if (identity := IDENTITIES[kind]) is not None:
        requirement["signedIdentity"] = {k: world.fill(v) for k, v in identity.items()}
    policy = tmp_path / "policy.json"
    policy.write_text(json.dumps({"default": [requirement]}))
    cells = [(case, by) for case in NAMES for by in IMAGES]

    def judged(cell: tuple[str, str]) -> tuple[bool, bool]:
        case, by = cell
        image = world.fill(IMAGES[by])
        scratch = tmp_path / f"{case} {by}"
        return ours(world, policy, case, image), skopeo(world, policy, case, image, scratch)

    with ThreadPoolExecutor(4) as pool:
        verdicts = dict(zip(cells, pool.map(judged, cells), strict=True))
    assert {cell: both for cell, both in verdicts.items() if both[0] != both[1]} == {}
    # Without both verdicts among the cells, agreement would say little.
    assert {us for us, _ in verdicts.values()} == {True, False}
