# SPDX-License-Identifier: LGPL-2.1-or-later
"""Indexes of every kind: `inspect --raw` gives the bytes that skopeo gives, and what was put."""

import hashlib
import json
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from atomic_sys.model.manifest import DOCKER_LIST, DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST
from tests.support import images
from tests.support.places import bytes_of
from tests.support.registry import docker_registry

pytestmark = pytest.mark.conformance
KINDS = ("index", "list", "nested", "no-platform", "spaced", "attested")


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A registry with an index of each kind as a tag of ns/image."""
    directory = tmp_path_factory.mktemp("indexes")
    layout = images.layout(directory / "hello")
    with docker_registry(directory) as host:
        for tag, form in (("oci", "oci"), ("docker", "v2s2")):
            skopeo("copy", "-q", "--dest-tls-verify=false", f"--format={form}",
                   f"oci:{layout}", f"docker://{host}/ns/image:{tag}")  # fmt: skip
        put_indexes(host)
        yield host


def skopeo(*argv: str) -> bytes:
    done = subprocess.run(["skopeo", *argv], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def raw(host: str, tag: str) -> bytes:
    return skopeo("inspect", "--raw", "--tls-verify=false", f"docker://{host}/ns/image:{tag}")


def put(host: str, tag: str, media_type: str, body: bytes) -> None:
    request = urllib.request.Request(
        f"http://{host}/v2/ns/image/manifests/{tag}",
        body, {"Content-Type": media_type}, method="PUT",
    )  # fmt: skip
    with urllib.request.urlopen(request) as answer:  # noqa: S310 - likewise
        assert answer.status == 201


def entry(document: bytes, media_type: str, **platform: str) -> dict[str, object]:
    digest = f"sha256:{hashlib.sha256(document).hexdigest()}"
    described: dict[str, object] = {
        "mediaType": media_type, "digest": digest, "size": len(document)
    }  # fmt: skip
    return described | ({"platform": platform} if platform else {})


def put_indexes(host: str) -> None:
    oci, docker = raw(host, "oci"), raw(host, "docker")
    here = {"os": "linux", "architecture": "amd64"}
    other = {"os": "linux", "architecture": "arm64", "variant": "v8"}
    index = {"schemaVersion": 2, "mediaType": OCI_INDEX}
    plain = index | {"manifests": [entry(oci, OCI_MANIFEST, **other),
                                   entry(oci, OCI_MANIFEST, **here)]}  # fmt: skip
    inner = json.dumps(plain).encode()
    unknown = {"os": "unknown", "architecture": "unknown"}
    documents: dict[str, tuple[str, object]] = {
        "index": (OCI_INDEX, plain),
        "list": (DOCKER_LIST, {
            "schemaVersion": 2, "mediaType": DOCKER_LIST,
            "manifests": [entry(docker, DOCKER_MANIFEST, **here)],
        }),
        "nested": (OCI_INDEX, index | {"manifests": [entry(inner, OCI_INDEX, **here)]}),
        "no-platform": (OCI_INDEX, index | {"manifests": [entry(oci, OCI_MANIFEST)]}),
        "attested": (OCI_INDEX, index | {"manifests": [entry(oci, OCI_MANIFEST, **unknown),
                                                       entry(oci, OCI_MANIFEST, **here)]}),
    }  # fmt: skip
    for tag, (media_type, body) in documents.items():
        put(host, tag, media_type, json.dumps(body).encode())
    put(host, "spaced", OCI_INDEX, json.dumps(plain, indent=7).encode() + b"\n\n")


def atomic(host: str, tmp_path: Path, *argv: str) -> bytes:
    conf = tmp_path / "registries.conf"
    conf.write_text(f'[[registry]]\nlocation = "{host}"\ninsecure = true\n')
    return bytes_of(["--registries-conf", str(conf), *argv])


@pytest.mark.parametrize("kind", KINDS)
def test_raw_bytes_of_an_index(host: str, tmp_path: Path, kind: str) -> None:
    assert atomic(host, tmp_path, "inspect", "--raw", f"docker://{host}/ns/image:{kind}") == raw(
        host, kind
    )


@pytest.mark.parametrize("kind", KINDS)
def test_the_instance_of_an_index(host: str, tmp_path: Path, kind: str) -> None:
    """The digest that both name, and the configuration; skopeo does not descend into an index."""
    image = f"docker://{host}/ns/image:{kind}"
    config = atomic(host, tmp_path, "inspect", "--config", "--raw", image)
    tag = "docker" if kind == "list" else "oci"
    wanted = json.loads(raw(host, tag))["config"]["digest"]
    assert f"sha256:{hashlib.sha256(config).hexdigest()}" == wanted
    if kind != "nested":
        theirs = skopeo("inspect", "--tls-verify=false", "--config", "--raw", image)
        assert config == theirs
