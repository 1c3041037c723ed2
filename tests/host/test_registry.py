# SPDX-License-Identifier: LGPL-2.1-or-later
"""The registry in a host serves what was pushed; the vendor's signatures hold before skopeo."""

import json
from pathlib import Path

import pytest

from tests.host.host import Host
from tests.host.process import HostError, run
from tests.host.registry import Registry, Security, layout_digest
from tests.host.signing import LOOKASIDE, publish, trust_only, vendor


@pytest.fixture(scope="module")
def layout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small image: one file."""
    directory = tmp_path_factory.mktemp("image")
    image = directory / "layout"
    content = directory / "content"
    content.write_text("content\n")
    run(["umoci", "init", "--layout", image])
    run(["umoci", "new", "--image", f"{image}:latest"])
    run(["umoci", "insert", "--image", f"{image}:latest", content, "/content"])
    return image


@pytest.mark.parametrize("registry_kind", [(5000, Security.PLAIN), (5001, Security.TLS)])
def test_what_is_pushed_comes_back_with_the_same_digest(
    host: Host, layout: Path, tmp_path: Path, registry_kind: tuple[int, Security]
) -> None:
    port, security = registry_kind
    registry = Registry(host=host, port=port, security=security)
    registry.start()
    digest = registry.push(layout, "some/image")
    assert digest == layout_digest(layout)
    assert registry.digest("some/image") == digest
    assert registry.pull("some/image", tmp_path / "back") == digest
    assert json.loads(registry.manifest("some/image"))["schemaVersion"] == 2
    with pytest.raises(HostError, match="manifest unknown"):
        registry.digest("never/pushed")


def test_the_host_trusts_the_certificate(host: Host) -> None:
    Registry(host=host, port=5001, security=Security.TLS).start()
    get = "import requests; print(requests.get('https://127.0.0.1:5001/v2/').status_code)"
    assert host.run(["/usr/bin/python3", "-c", get]).stdout == "200\n"


def test_a_registry_is_there_again_after_a_reboot(host: Host, layout: Path) -> None:
    registry = Registry(host=host)
    registry.start()
    digest = registry.push(layout, "kept")
    host.reboot()
    assert registry.digest("kept") == digest


def test_a_policy_accepts_the_vendor_and_nobody_else(
    host: Host, layout: Path, tmp_path: Path
) -> None:
    registry = Registry(host=host)
    registry.start()
    with vendor() as signer, vendor("Stranger <stranger@example.com>") as stranger:
        trust_only(host, registry, signer)
        digest = registry.push(layout, "signed/by-vendor")
        publish_by = {"signed/by-vendor": signer, "signed/by-stranger": stranger}
        for repository, who in publish_by.items():
            registry.push(layout, repository)
            reference = f"{registry.location}/{repository}:latest"
            publish(host, repository, digest, who.sign(reference, digest))
        registry.push(layout, "unsigned")
        assert pull_by_policy(host, registry, "signed/by-vendor", tmp_path / "a") == ""
        assert "rejected" in pull_by_policy(host, registry, "signed/by-stranger", tmp_path / "b")
        assert "no signature" in pull_by_policy(host, registry, "unsigned", tmp_path / "c")


def pull_by_policy(host: Host, registry: Registry, repository: str, target: Path) -> str:
    """What skopeo objects when it pulls with the host's configuration; nothing when it pulls."""
    # skopeo is this machine's, so the files that name paths of the host are adapted for it.
    policy = target.with_suffix(".policy")
    original = host.path("/etc/containers/policy.json").read_text()
    policy.write_text(original.replace("/etc/pki", str(host.path("/etc/pki"))))
    places = target.with_suffix(".d")
    places.mkdir()
    for source in host.path("/etc/containers/registries.d").iterdir():
        text = source.read_text().replace(LOOKASIDE, str(host.path(LOOKASIDE)))
        (places / source.name).write_text(text)
    done = host.run_in_network(
        ["skopeo", "--policy", policy, "--registries.d", places, "copy", "--src-tls-verify=false",
         f"docker://{registry.location}/{repository}:latest", f"dir:{target}"],
        check=False,
    )  # fmt: skip
    return done.stderr if done.returncode else ""
