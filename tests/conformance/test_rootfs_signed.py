# SPDX-License-Identifier: LGPL-2.1-or-later
"""Files elsewhere, an image in a real registry, and a policy that wants it signed."""

import json
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.conformance.copying import Signer, run
from tests.conformance.fleet import Fleet, make_fleet
from tests.support.gpg import new_home
from tests.support.registry import docker_registry

pytestmark = pytest.mark.conformance


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """A fleet, a registry that it knows, and a key that signs what is in there."""

    fleet: Fleet
    registry: str
    signer: Signer

    @property
    def image(self) -> str:
        return f"{self.registry}/hello:1"

    def configure(self) -> None:
        for place in (*self.fleet.hosts.values(), self.fleet.builder):
            directory = place.root / "etc/containers"
            (directory / "registries.d").mkdir(parents=True)
            text = f'[[registry]]\nlocation = "{self.registry}"\ninsecure = true\n'
            (directory / "registries.conf").write_text(text)
            store = f"file://{self.fleet.top}/signatures"
            (directory / "registries.d/default.yaml").write_text(
                f"default-docker:\n  lookaside: {store}\n"
            )

    def push(self) -> None:
        """What the layout has, from skopeo."""
        source, target = f"oci:{self.fleet.layout}:latest", f"docker://{self.image}"
        run("skopeo", "--insecure-policy", "copy", "--dest-tls-verify=false", source, target)

    def sign(self) -> None:
        """Put a signature of the image into the lookaside store."""
        directory = self.fleet.top / "signatures"
        directory.mkdir()
        self.fleet.policy.write_text(json.dumps({"default": [{"type": "insecureAcceptAnything"}]}))
        key = self.signer.run("--list-keys", "--with-colons").decode()
        fingerprint = next(line.split(":")[9] for line in key.splitlines() if line[:3] == "fpr")
        self.fleet.builder.said(
            "sign", "--sign-by", fingerprint, "-g", str(self.signer.home), "-d", str(directory),
            self.image,
        )  # fmt: skip
        self.fleet.policy.write_text(json.dumps(self.signer.policy(self.image)))

    def install(self) -> tuple[int, str, str]:
        return self.fleet.call("a", "install", "--rootfs=/srv/export/one", self.image)


@pytest.fixture
def site() -> Iterator[Site]:
    with (
        new_home() as home,
        make_fleet() as fleet,
        docker_registry(fleet.top) as registry,
    ):
        signer = Signer(home)
        signer.make()
        made = Site(fleet=fleet, registry=registry, signer=signer)
        made.configure()
        fleet.publish("1")
        fleet.prepare("one")
        made.push()
        yield made


def test_only_a_signed_image_is_outlined(site: Site) -> None:
    site.fleet.policy.write_text(json.dumps(site.signer.policy(site.image)))
    code, out, _ = site.install()
    assert (code, "Copying blob" in out) == (6, False)
    site.sign()
    code, out, talk = site.install()
    assert (code, "Copying blob" in out) == (0, True), talk
    host = site.fleet.hosts["a"]
    (row,) = json.loads(host.said("containers", "list", "--all", "--json"))
    assert len(row["signers"]) == 1
    assert json.loads(host.said("trust", "audit", "--json"))[0]["accepted"] is True
    assert host.said("containers", "update", row["name"]) == "Latest version already installed.\n"
    assert "as it was installed" in host.said("containers", "verify", row["name"])
    site.fleet.policy.write_text(json.dumps(site.signer.policy("elsewhere.example.com/x:1")))
    assert json.loads(site.fleet.call("a", "trust", "audit", "--json")[1])[0]["accepted"] is False
