# SPDX-License-Identifier: LGPL-2.1-or-later
"""The images that are measured: Debian's packages as layers, built once into a cache.

Each is an image of an OCI layout, with the tags `NAME-v1` and `NAME-v2`, which differ in the last,
small layer alone. Layers are packed by GNU tar and zlib at its default level, as registries have
them, or by zstd. Needs root, apt and debootstrap.
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from tests.host.base import mirror, suite

RECIPE = 1  # raise it when anything below changes what ends up in an image
_CHUNK = 1 << 20
_SMALL = "small"  # the last layer of most images: a few files, other ones in each version

# The packages of each layer; the base is what debootstrap makes. `@NAME` stands for the package
# that NAME depends on (the kernel's headers have their version in the name).
LAYERS: dict[str, tuple[str, ...]] = {
    "base": (),
    "etcd": ("etcd-server", "etcd-client"),
    "headers": ("@linux-headers-amd64", "golang-1.19-src", "libboost1.74-dev"),
    "docs": ("python3.11-doc", "libboost1.81-dev", "libicu-dev"),
    "browser": ("chromium",),
    "engine": ("docker.io", "containerd"),
    "compiler": ("llvm-14-dev",),
    "runtime": ("libllvm14", "openjdk-17-jre-headless"),
    "rust": ("libstd-rust-1.63", "rustc"),
}
IMAGES: dict[str, tuple[str, ...]] = {
    "small": (_SMALL,),
    "etcd": ("base", "etcd", _SMALL),
    "files": ("base", "headers", "docs", _SMALL),
    "big": ("base", "etcd", "browser", "engine", "compiler", "runtime", "rust", _SMALL),
}
ZSTD = {"big-zstd": "big"}
NAMES = (*IMAGES, *ZSTD)


@dataclass(frozen=True, slots=True, kw_only=True)
class Blob:
    """A layer as a registry has it; sizes are in bytes."""

    media_type: str
    digest: str
    diff_id: str
    size: int
    unpacked: int
    entries: int


def build(cache: Path) -> Path:
    """The layout with all images, built where it is not there yet (some minutes).

    Raises CalledProcessError, OSError, HostError.
    """
    recipe = hashlib.sha256(json.dumps([RECIPE, LAYERS, IMAGES, ZSTD]).encode()).hexdigest()[:16]
    layout = cache / f"benchmark-{recipe}"
    if layout.exists():
        return layout
    print("benchmark: building the images, once, a few minutes", file=sys.stderr)
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="benchmark.", dir=cache) as scratch:
        new = Path(scratch) / "layout"
        (new / "blobs/sha256").mkdir(parents=True)
        _fill(new, Path(scratch))
        new.rename(layout)
    return layout


def _fill(layout: Path, scratch: Path) -> None:
    blobs: dict[tuple[str, str], Blob] = {}
    for name in LAYERS:
        print(f"benchmark: layer {name}", file=sys.stderr)
        tree = scratch / name
        tree.mkdir()
        _unpack(name, tree, scratch)
        for packing in ("gzip", "zstd") if name in IMAGES["big"] else ("gzip",):
            blobs[name, packing] = _pack(tree, packing, layout)
        shutil.rmtree(tree)
    for version in ("v1", "v2"):
        tree = scratch / version
        _small_tree(tree, version)
        for packing in ("gzip", "zstd"):
            blobs[f"{_SMALL}-{version}", packing] = _pack(tree, packing, layout)
    index = []
    for name in NAMES:
        packing = "zstd" if name in ZSTD else "gzip"
        for version in ("v1", "v2"):
            keys = [f"{_SMALL}-{version}" if key == _SMALL else key for key in _layers_of(name)]
            index.append(_image(layout, f"{name}-{version}", [blobs[key, packing] for key in keys]))
    (layout / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": index}))
    (layout / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')


def _layers_of(name: str) -> tuple[str, ...]:
    return IMAGES[ZSTD.get(name, name)]


def _unpack(name: str, tree: Path, scratch: Path) -> None:
    if name == "base":
        release = suite()
        argv = ["debootstrap", "--variant=minbase", release, os.fspath(tree), mirror(release)]
        subprocess.run(argv, check=True, stdout=subprocess.DEVNULL)
        for cached in ("var/cache/apt", "var/lib/apt/lists"):
            shutil.rmtree(tree / cached)
        shutil.rmtree(tree / "dev")  # devices, which an image's layer does not have
        return
    packages = [_dependency(word[1:]) if word[0] == "@" else word for word in LAYERS[name]]
    archives = scratch / "archives"
    archives.mkdir(exist_ok=True)
    argv = ["apt-get", "-qq", "-o", "APT::Sandbox::User=root", "download", *packages]
    subprocess.run(argv, check=True, cwd=archives)
    for archive in sorted(archives.glob("*.deb")):
        subprocess.run(["dpkg-deb", "-x", archive, tree], check=True)
        archive.unlink()


def _dependency(package: str) -> str:
    """The common headers below a package of headers for one flavour of the kernel."""
    for _ in range(2):
        argv = ["apt-cache", "depends", "--important", package]
        said = subprocess.run(argv, check=True, capture_output=True, text=True).stdout
        found = [line.split()[-1] for line in said.splitlines() if "Depends: linux-headers" in line]
        package = max(found, key=lambda name: name.endswith("-common"))
    return package


def _small_tree(tree: Path, version: str) -> None:
    exports = tree / "exports"
    (exports / "hostfs/etc").mkdir(parents=True)
    (exports / "manifest.json").write_text(json.dumps({"version": version}))
    (exports / "config.json.template").write_text('{"ociVersion": "1.0.2"}\n')
    for number in range(8):
        (exports / f"hostfs/etc/file-{number}").write_text(f"{version} {number}\n" * 2000)


class _Sink:
    """Where the tar archive goes: hashed, counted, packed and hashed again."""

    def __init__(self, path: Path, packing: str) -> None:
        self._stream = path.open("wb")
        self._plain = hashlib.sha256()
        self._packed = hashlib.sha256()
        self.unpacked = self.size = 0
        self._compress, self._flush = _compressor(packing)

    def write(self, chunk: bytes) -> None:
        self._plain.update(chunk)
        self.unpacked += len(chunk)
        self._put(self._compress(chunk))

    def close(self) -> tuple[str, str]:
        self._put(self._flush())
        self._stream.close()
        return self._packed.hexdigest(), self._plain.hexdigest()

    def _put(self, packed: bytes) -> None:
        self._packed.update(packed)
        self.size += len(packed)
        self._stream.write(packed)


def _compressor(packing: str) -> tuple[Callable[[bytes], bytes], Callable[[], bytes]]:
    if packing == "gzip":
        gzipped = zlib.compressobj(wbits=31)
        return gzipped.compress, gzipped.flush
    import zstandard

    zstd = zstandard.ZstdCompressor(level=3).compressobj()
    return zstd.compress, zstd.flush


def _pack(tree: Path, packing: str, layout: Path) -> Blob:
    temporary = layout / "new"
    sink = _Sink(temporary, packing)
    argv = ["tar", "--sort=name", "--numeric-owner", "-C", os.fspath(tree), "-c", "."]
    with subprocess.Popen(argv, stdout=subprocess.PIPE) as process:
        for chunk in _chunks(process.stdout):
            sink.write(chunk)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, argv)
    packed, plain = sink.close()
    temporary.rename(layout / "blobs/sha256" / packed)
    return Blob(
        media_type=f"application/vnd.oci.image.layer.v1.tar+{packing}",
        digest=f"sha256:{packed}",
        diff_id=f"sha256:{plain}",
        size=sink.size,
        unpacked=sink.unpacked,
        entries=sum(1 for _ in tree.rglob("*")) + 1,
    )


def _chunks(stream: IO[bytes] | None) -> Iterator[bytes]:
    while stream is not None and (chunk := stream.read(_CHUNK)):
        yield chunk


def _image(layout: Path, tag: str, layers: list[Blob]) -> dict[str, object]:
    config = {
        "architecture": "amd64",
        "os": "linux",
        "config": {"Cmd": ["/bin/true"]},
        "rootfs": {"type": "layers", "diff_ids": [layer.diff_id for layer in layers]},
    }
    manifest = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": _document(layout, config, "application/vnd.oci.image.config.v1+json"),
        "layers": [
            {"mediaType": layer.media_type, "digest": layer.digest, "size": layer.size}
            for layer in layers
        ],
        "annotations": {
            "benchmark.unpacked": str(sum(layer.unpacked for layer in layers)),
            "benchmark.entries": str(sum(layer.entries for layer in layers)),
        },
    }
    described = _document(layout, manifest, "application/vnd.oci.image.manifest.v1+json")
    return described | {"annotations": {"org.opencontainers.image.ref.name": tag}}


def _document(layout: Path, content: object, media_type: str) -> dict[str, object]:
    raw = json.dumps(content).encode()
    digest = hashlib.sha256(raw).hexdigest()
    (layout / "blobs/sha256" / digest).write_bytes(raw)
    return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": len(raw)}


def describe(layout: Path, name: str) -> str:
    """One line about an image: layers, bytes, entries."""
    index = json.loads((layout / "index.json").read_bytes())
    for found in index["manifests"]:
        if found["annotations"]["org.opencontainers.image.ref.name"] == f"{name}-v1":
            digest = found["digest"].removeprefix("sha256:")
            manifest = json.loads((layout / "blobs/sha256" / digest).read_bytes())
            packed = sum(layer["size"] for layer in manifest["layers"])
            notes = manifest["annotations"]
            return (
                f"{len(manifest['layers'])} layers, {packed / 1e6:.1f} MB packed, "
                f"{int(notes['benchmark.unpacked']) / 1e6:.0f} MB unpacked, "
                f"{notes['benchmark.entries']} entries"
            )
    raise KeyError(name)
