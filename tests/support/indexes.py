# SPDX-License-Identifier: LGPL-2.1-or-later
"""An OCI layout with an index: the tag `multi` of two images, `amd64` and `arm64`."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from atomic_sys.model.digest import Digest
from tests.support import layers

_OCI = "application/vnd.oci.image"
_TAG = "org.opencontainers.image.ref.name"
ARCHITECTURES = ("amd64", "arm64")


@dataclass(frozen=True, kw_only=True)
class IndexedImage:
    """The layout, the digest of its index, and those of its instances by architecture."""

    path: Path
    index: Digest
    instances: Mapping[str, Digest]


def indexed_layout(path: Path) -> IndexedImage:
    """Make the layout; both images have one layer in common, and one of their own."""
    blobs = path / "blobs" / "sha256"
    blobs.mkdir(parents=True)
    (path / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
    entries = []
    for number, architecture in enumerate(ARCHITECTURES):
        content = hashlib.shake_128(bytes([number])).digest(300_000)
        contents = [
            [layers.file("hello", b"hello\n", mode=0o755)],
            [layers.file(architecture, content)],
        ]
        image = layers.image("x", [layers.layer_import(members) for members in contents])
        config = json.loads(image.config) | {"architecture": architecture}
        manifest = json.loads(image.raw_manifest)
        raw_config = json.dumps(config).encode()
        manifest["config"] |= {"digest": str(Digest.of(raw_config)), "size": len(raw_config)}
        raw = json.dumps(manifest, indent=number).encode()
        for blob in (raw_config, raw, *map(layers.archive, contents)):
            (blobs / Digest.of(blob).hex).write_bytes(blob)
        platform = {"os": "linux", "architecture": architecture}
        entries.append(_entry(raw, "manifest") | {"platform": platform})
    body = {"schemaVersion": 2, "mediaType": f"{_OCI}.index.v1+json", "manifests": entries}
    index = json.dumps(body, indent=3).encode()
    (blobs / Digest.of(index).hex).write_bytes(index)
    tagged = [
        {key: entry[key] for key in ("mediaType", "digest", "size")} | _tag(architecture)
        for entry, architecture in zip(entries, ARCHITECTURES, strict=True)
    ]
    tagged.append(_entry(index, "index") | _tag("multi"))
    (path / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": tagged}))
    return IndexedImage(
        path=path,
        index=Digest.of(index),
        instances={
            architecture: Digest.parse(str(entry["digest"]))
            for entry, architecture in zip(entries, ARCHITECTURES, strict=True)
        },
    )


def _entry(raw: bytes, kind: str) -> dict[str, object]:
    return {
        "mediaType": f"{_OCI}.{kind}.v1+json",
        "digest": str(Digest.of(raw)),
        "size": len(raw),
    }


def _tag(tag: str) -> dict[str, object]:
    return {"annotations": {_TAG: tag}}
