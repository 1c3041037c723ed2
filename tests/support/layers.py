# SPDX-License-Identifier: LGPL-2.1-or-later
"""Layers for the store's tests: tar archives by tarfile, and what the store reads of them."""

import io
import json
import os
import stat
import tarfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from atomic_sys.model.digest import Digest
from atomic_sys.model.layer import (
    Directory,
    Entry,
    HardLink,
    LayerStream,
    Metadata,
    OpaqueWhiteout,
    RegularFile,
    SpecialFile,
    Symlink,
    Whiteout,
)
from atomic_sys.model.reference import ImageName
from atomic_sys.store.images import ImageToStore, LayerImport

Member = tuple[tarfile.TarInfo, bytes]


def member(name: str, kind: bytes, content: bytes = b"", **fields: Any) -> Member:
    info = tarfile.TarInfo(name)
    info.type = kind
    info.size = len(content)
    info.mode = 0o755 if kind == tarfile.DIRTYPE else 0o644
    for field, value in fields.items():
        setattr(info, field, value)
    return info, content


def directory(name: str, **fields: Any) -> Member:
    return member(name, tarfile.DIRTYPE, **fields)


def file(name: str, content: bytes = b"", **fields: Any) -> Member:
    return member(name, tarfile.REGTYPE, content, **fields)


def symlink(name: str, target: str, **fields: Any) -> Member:
    return member(name, tarfile.SYMTYPE, linkname=target, mode=0o777, **fields)


def hard_link(name: str, target: str) -> Member:
    return member(name, tarfile.LNKTYPE, linkname=target)


def archive(members: Sequence[Member]) -> bytes:
    """The tar archive of these members."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for info, content in members:
            tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def stream(members: Sequence[Member]) -> LayerStream:
    """The members as the store wants them."""
    for info, content in members:
        chunks = [content[at : at + 70_000] for at in range(0, len(content), 70_000)]
        yield entry(info), chunks


def entry(info: tarfile.TarInfo) -> Entry:
    path = tuple(part for part in info.name.split("/") if part not in ("", "."))
    metadata = Metadata(info.uid, info.gid, info.mode)
    if path and path[-1] == ".wh..wh..opq":
        return OpaqueWhiteout(path[:-1])
    if path and path[-1].startswith(".wh."):
        return Whiteout((*path[:-1], path[-1].removeprefix(".wh.")))
    match info.type:
        case tarfile.DIRTYPE:
            return Directory(path, metadata)
        case tarfile.REGTYPE:
            return RegularFile(path, metadata, info.size)
        case tarfile.SYMTYPE:
            return Symlink(path, metadata, info.linkname)
        case tarfile.LNKTYPE:
            return HardLink(path, tuple(info.linkname.split("/")))
        case _:
            return SpecialFile(path, "fifo")


def layer_import(members: Sequence[Member]) -> LayerImport:
    """What is to be said about the layer, not compressed."""
    tar = archive(members)
    digest = Digest.of(tar)
    size = len(tar)
    return LayerImport(
        digest=digest, diff_id=digest, compressed_size=size, uncompressed_size=lambda: size
    )


def image(
    name: str, layers: Sequence[LayerImport], signatures: tuple[bytes, ...] = ()
) -> ImageToStore:
    """An image of these layers."""
    config = json.dumps({
        "architecture": "amd64",
        "os": "linux",
        "config": {},
        "rootfs": {"type": "layers", "diff_ids": [str(layer.diff_id) for layer in layers]},
    }).encode()
    manifest = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": {
            "mediaType": "application/vnd.oci.image.config.v1+json",
            "digest": str(Digest.of(config)),
            "size": len(config),
        },
        "layers": [
            {
                "mediaType": "application/vnd.oci.image.layer.v1.tar",
                "digest": str(layer.digest),
                "size": layer.compressed_size,
            }
            for layer in layers
        ],
    }
    raw = json.dumps(manifest).encode()
    return ImageToStore(
        name=ImageName.parse(name),
        raw_manifest=raw,
        digest=Digest.of(raw),
        signatures=signatures,
        config=config,
        config_digest=Digest.of(config),
        layers=tuple(layer.digest for layer in layers),
    )


def write_layout(path: Path, stored: ImageToStore, layers: Sequence[bytes]) -> None:
    """The image as an OCI image layout with the tag `latest`."""
    blobs = path / "blobs" / "sha256"
    blobs.mkdir(parents=True)
    (path / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
    for blob in (stored.raw_manifest, stored.config, *layers):
        (blobs / Digest.of(blob).hex).write_bytes(blob)
    descriptor = {
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "digest": str(stored.digest),
        "size": len(stored.raw_manifest),
        "annotations": {"org.opencontainers.image.ref.name": "latest"},
    }
    (path / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [descriptor]}))


def listing(top: Path) -> dict[str, tuple[object, ...]]:
    """Everything that can be seen of a tree, but for times."""
    return {os.path.relpath(path, top): _seen(path) for path in _paths(top)}


def _paths(top: Path) -> Iterator[Path]:
    yield top
    for item in sorted(top.iterdir()):
        if item.is_dir() and not item.is_symlink():
            yield from _paths(item)
        else:
            yield item


def _seen(path: Path) -> tuple[object, ...]:
    info = path.lstat()
    names = sorted(os.listxattr(path, follow_symlinks=False))
    xattrs = tuple((name, os.getxattr(path, name, follow_symlinks=False)) for name in names)
    content: object = None
    if stat.S_ISLNK(info.st_mode):
        content = os.readlink(path)
    elif stat.S_ISREG(info.st_mode):
        content = path.read_bytes()
    return oct(info.st_mode), info.st_uid, info.st_gid, content, xattrs
