# SPDX-License-Identifier: LGPL-2.1-or-later
"""Two promises about pulls, measured: no byte twice, and little memory whatever the image's size.

`python -m benchmarks.pull_bars [MEBIBYTES]` (default 1024) serves images of that size from this
process, cuts connections, and prints what was sent twice and how much memory the command needed.
Ends with 1 when a promise is broken.
"""

import gzip
import hashlib
import json
import os
import shutil
import sys
import tarfile
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import zstandard

from benchmarks.measure import peak_memory

CUTS = 20
MEMORY_BAR = 150 << 20  # bytes
WINDOW = 1 << 20  # bytes that may be sent twice for each cut: what was on its way
_PATTERN_SIZE = 1 << 20
_CHUNK = 1 << 18
_KIND = "application/vnd.oci.image."


@dataclass(slots=True)
class Server:
    """Serves files as blobs and counts what it sends; cuts connections at the given offsets."""

    blobs: dict[str, Path]
    manifest: bytes
    cuts: list[int] = field(default_factory=list)
    sent: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def count(self, size: int, end: int) -> bool:
        """Note that so many bytes go out, up to this offset; whether to cut the connection now."""
        with self.lock:
            self.sent += size
            if self.cuts and end >= self.cuts[0]:
                self.cuts.pop(0)
                return True
        return False


class Handler(BaseHTTPRequestHandler):
    """Answers for the registry that its server has."""

    server: "Registry"

    def do_GET(self) -> None:
        """A manifest, a blob or the front door."""
        path = self.path.partition("?")[0]
        bench = self.server.bench
        if path.startswith("/v2/bench/image/manifests/"):
            self._send(200, {"Content-Type": f"{_KIND}manifest.v1+json"}, bench.manifest)
        elif (blob := bench.blobs.get(path.rpartition("/")[2])) is not None:
            self._blob(blob)
        else:
            self._send(200 if path == "/v2/" else 404, {}, b"")

    def _send(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def _blob(self, path: Path) -> None:
        size = path.stat().st_size
        start = int(self.headers.get("Range", "bytes=0-")[len("bytes=") : -1])
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{size - 1}/{size}")
        self.send_header("Content-Length", str(size - start))
        self.end_headers()
        with path.open("rb") as stream:
            stream.seek(start)
            while chunk := stream.read(_CHUNK):
                start += len(chunk)
                cut = self.server.bench.count(len(chunk), start)
                try:
                    self.wfile.write(chunk)
                except ConnectionError:
                    return
                if cut:
                    self.close_connection = True
                    return

    def log_message(self, *_: object) -> None:
        """The table is the output."""


class Registry(ThreadingHTTPServer):
    """The server of one image."""

    def __init__(self, bench: Server) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.bench = bench


def content(size: int) -> Iterator[bytes]:
    """Bytes that compress to about the half: no chunk is like another."""
    half = bytes(_PATTERN_SIZE // 2)
    while size > 0:
        chunk = (os.urandom(_PATTERN_SIZE // 2) + half)[:size]
        size -= len(chunk)
        yield chunk


def write_layer(path: Path, size: int, compression: str) -> tuple[str, str]:
    """A layer with one file of this size; digest of the blob, and diff id."""
    hasher = hashlib.sha256()
    info = tarfile.TarInfo(path.name)
    info.size = size
    with path.open("wb") as raw:
        packed = (
            gzip.GzipFile(fileobj=raw, mode="wb", compresslevel=1)
            if compression == "gzip"
            else zstandard.ZstdCompressor(level=1).stream_writer(raw, closefd=False)
        )
        with packed:
            padding = bytes(-size % 512 + 1024)
            for chunk in (info.tobuf(), *content(size), padding):
                hasher.update(chunk)
                packed.write(chunk)
    with path.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    return f"sha256:{digest}", f"sha256:{hasher.hexdigest()}"


def make_image(directory: Path, mebibytes: int, layers: int, compression: str) -> Server:
    """An image of this size in so many layers."""
    directory.mkdir()
    blobs: dict[str, Path] = {}
    described: list[dict[str, object]] = []
    diff_ids: list[str] = []
    for number in range(layers):
        path = directory / f"layer{number}"
        digest, diff_id = write_layer(path, (mebibytes << 20) // layers, compression)
        blobs[digest] = path
        diff_ids.append(diff_id)
        described.append({"mediaType": f"{_KIND}layer.v1.tar+{compression}", "digest": digest,
                          "size": path.stat().st_size})  # fmt: skip
    config = json.dumps({"architecture": "amd64", "os": "linux",
                         "rootfs": {"type": "layers", "diff_ids": diff_ids}}).encode()  # fmt: skip
    (directory / "config").write_bytes(config)
    digest = f"sha256:{hashlib.sha256(config).hexdigest()}"
    blobs[digest] = directory / "config"
    manifest = {
        "schemaVersion": 2,
        "mediaType": f"{_KIND}manifest.v1+json",
        "config": {"mediaType": f"{_KIND}config.v1+json", "digest": digest, "size": len(config)},
        "layers": described,
    }
    return Server(blobs=blobs, manifest=json.dumps(manifest).encode())


def pull(server: Server, directory: Path) -> int:
    """Pull it by the real command into a new store; the most memory it had, in bytes.

    That is all of its processes together, what they share counted once. Raises measure.Failed.
    """
    http = Registry(server)
    thread = threading.Thread(target=http.serve_forever, args=(0.02,))
    thread.start()
    root, policy = directory / "root", directory / "policy.json"
    root.mkdir()
    policy.write_text('{"default": [{"type": "insecureAcceptAnything"}]}')
    try:
        return peak_memory(
            [sys.executable, "-m", "atomic_sys", "--root", str(root), "--policy", str(policy),
             "pull", f"http:127.0.0.1:{http.server_address[1]}/bench/image:1"],
        )  # fmt: skip
    finally:
        http.shutdown()
        thread.join()
        http.server_close()
        shutil.rmtree(root, ignore_errors=True)


def main() -> int:
    """Measure and print; the exit status."""
    broken = False
    os.environ["no_proxy"] = "127.0.0.1"
    mebibytes = int(sys.argv[1]) if len(sys.argv) > 1 else 1024
    print(f"{'image':<28} {'blobs MB':>9} {'sent MB':>9} {'twice MB':>9} {'memory MiB':>11}")
    with tempfile.TemporaryDirectory(prefix="atomic-sys-bars.") as path:
        directory = Path(path)
        for layers, compression, cuts in (
            (1, "gzip", CUTS), (1, "gzip", 0), (8, "gzip", 0), (1, "zstd", 0), (8, "zstd", 0),
        ):  # fmt: skip
            image = directory / "image"
            server = make_image(image, mebibytes, layers, compression)
            size = sum(blob.stat().st_size for blob in server.blobs.values())
            server.cuts = [size * (n + 1) // (cuts + 1) for n in range(cuts)]
            memory = pull(server, directory)
            name = f"{mebibytes} MiB, {layers} x {compression}, {cuts} cuts"
            twice = server.sent - size
            print(f"{name:<28} {size / 1e6:9.1f} {server.sent / 1e6:9.1f} {twice / 1e6:9.1f}"
                  f" {memory / (1 << 20):11.1f}", flush=True)  # fmt: skip
            shutil.rmtree(image)
            broken = broken or twice > cuts * WINDOW or memory > MEMORY_BAR
    return int(broken)


if __name__ == "__main__":
    sys.exit(main())
