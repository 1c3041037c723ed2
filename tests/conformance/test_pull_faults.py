# SPDX-License-Identifier: LGPL-2.1-or-later
"""A pull that fails shows nothing of it, and the next one goes on with what was verified."""

import hashlib
import json
import os
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from atomic_sys.__main__ import run as atomic
from atomic_sys.image import http as http_module
from atomic_sys.image.retry import Patience
from tests.support import layers
from tests.support.fake_registry import FakeRegistry, Reply

pytestmark = pytest.mark.conformance
LAYERS = [
    layers.archive([layers.file(f"f{number}", os.urandom(200_000 + number))]) for number in range(3)
]
BAD = 2  # the layer that something is wrong with


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """A root, and a registry that lies."""

    root: Path
    registry: FakeRegistry
    paths: tuple[str, ...]  # of the layers

    def pull(self) -> int:
        words = ["--root", str(self.root), "--policy", str(self.root / "policy.json")]
        return atomic([*words, "pull", f"http:{self.registry.host}/a/b:1"])

    @property
    def repository(self) -> Path:
        return self.root / "var/lib/containers/atomic/.storage/ostree"

    def has(self, path: str) -> bool:
        """Whether the layer at this path is in the store."""
        return (self.repository / "refs/heads/ociimage" / path.rpartition(":")[2]).exists()

    def seen(self) -> tuple[list[str], int]:
        """The names of images, and what `ostree fsck` says."""
        refs = self.repository / "refs/heads/ociimage"
        names = [path.name for path in refs.glob("*") if len(path.name) != 64]
        done = subprocess.run(
            ["ostree", "fsck", "-q", f"--repo={self.repository}"], check=False, capture_output=True
        )
        return names, done.returncode


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    quick = partial(Patience, sleep=lambda _: None)
    monkeypatch.setattr("atomic_sys.image.registry.Patience", quick)
    with tempfile.TemporaryDirectory(dir="/dev/shm", prefix="faults.") as path:
        root = Path(path)
        (root / "policy.json").write_text('{"default": [{"type": "insecureAcceptAnything"}]}')
        with FakeRegistry() as registry:
            yield Site(root=root, registry=registry, paths=serve(registry))


def serve(registry: FakeRegistry) -> tuple[str, ...]:
    """Serve the image as it should be; the paths of its layers."""

    def put(content: bytes) -> dict[str, object]:
        digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
        registry.replies[f"/v2/a/b/blobs/{digest}"] = Reply(body=content)
        return {"digest": digest, "size": len(content)}

    kind = "application/vnd.oci.image."
    blobs = [put(layer) | {"mediaType": f"{kind}layer.v1.tar"} for layer in LAYERS]
    diff_ids = [blob["digest"] for blob in blobs]
    config = {"architecture": "amd64", "os": "linux",
              "rootfs": {"type": "layers", "diff_ids": diff_ids}}  # fmt: skip
    manifest = {
        "schemaVersion": 2,
        "mediaType": f"{kind}manifest.v1+json",
        "config": put(json.dumps(config).encode()) | {"mediaType": f"{kind}config.v1+json"},
        "layers": blobs,
    }
    registry.replies["/v2/"] = Reply()
    registry.replies["/v2/a/b/manifests/1"] = Reply(
        body=json.dumps(manifest).encode(),
        headers={"Content-Type": f"{kind}manifest.v1+json"},
    )
    return tuple(f"/v2/a/b/blobs/{blob['digest']}" for blob in blobs)


GOOD = LAYERS[BAD]
HALF = len(GOOD) // 2
FAULTS = {
    "wrong digest": Reply(body=b"x" + GOOD[1:]),
    "too short": Reply(body=GOOD[:-1]),
    "too long": Reply(body=GOOD + b"x"),
    "endless": Reply(body=GOOD, endless=True),
    "cut": Reply(body=GOOD[:HALF], length=len(GOOD)),
    "html": Reply(body=b"<html>"),
    "503": Reply(status=503),
    "429": Reply(status=429, headers={"Retry-After": "1"}),
    "404": Reply(status=404),
    "500": Reply(status=500),
    "nowhere": Reply(status=302, headers={"Location": "http://127.0.0.1:1/"}),
    "silence": Reply(body=GOOD[:HALF], length=len(GOOD), stall=30),
    "compressed": Reply(body=GOOD, headers={"Content-Encoding": "gzip"}, length=3),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_the_next_pull_fetches_only_what_is_missing(
    site: Site, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    monkeypatch.setattr(http_module, "READ_TIMEOUT", 0.5)
    whole = site.registry.replies[site.paths[BAD]]
    site.registry.replies[site.paths[BAD]] = FAULTS[fault]
    assert site.pull() == (4 if fault == "404" else 1)
    assert site.seen() == ([], 0)

    site.registry.replies[site.paths[BAD]] = whole
    before = {path: len(site.registry.asked(path)) for path in site.paths}
    stored = [path for path in site.paths if site.has(path)]
    assert site.pull() == 0
    fetched = [p for p in site.paths if len(site.registry.asked(p)) > before[p]]
    assert fetched == [path for path in site.paths if path not in stored]
    assert site.paths[BAD] in fetched
    names, status = site.seen()
    assert (len(names), status) == (1, 0)
    assert list((site.repository / "tmp").iterdir()) == [site.repository / "tmp/cache"]
