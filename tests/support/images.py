# SPDX-License-Identifier: LGPL-2.1-or-later
"""Images for the tests of whole commands: OCI layouts of one layer, made without any tool."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from atomic_sys.model.digest import Digest
from atomic_sys.store.images import ImageToStore
from tests.support import layers
from tests.support.layers import Member

CONFIG = b"""{"ociVersion": "1.0.2", "process": {"args": ["/hello", "$GREETING"], "cwd": "/"},
    "root": {"path": "rootfs", "readonly": true},
    "mounts": [{"type": "bind", "source": "${STATE_DIRECTORY}/${NAME}", "destination": "/data"}]}
"""
SERVICE = b"""[Unit]
Description=$NAME

[Service]
ExecStart=$EXEC_START
ExecStop=$EXEC_STOP

[Install]
WantedBy=multi-user.target
"""
TMPFILES = b"d ${STATE_DIRECTORY}/${NAME} 0700 - - - -\nR ${STATE_DIRECTORY}/${NAME}\n"
MANIFEST = b'{"defaultValues": {"GREETING": "hi"}, "installedFilesTemplate": ["/etc/hello.conf"]}'
EXPORTS = {
    "config.json.template": CONFIG,
    "service.template": SERVICE,
    "tmpfiles.template": TMPFILES,
    "manifest.json": MANIFEST,
    "hostfs/etc/hello.conf": b"greeting=$GREETING\n",
    "hostfs/usr/local/bin/hello": b"#!/bin/sh\necho host\n",
}


def members(exports: Mapping[str, bytes] = EXPORTS) -> list[Member]:
    """A root file system with /hello and these files below /exports."""
    return [
        layers.file("hello", b"hello\n", mode=0o755),
        *(layers.file(f"exports/{name}", content) for name, content in exports.items()),
    ]


def make(content: Sequence[Member], config: Mapping[str, object] | None = None) -> ImageToStore:
    """The image of this one layer; `config` is what the OCI image configuration has as `config`."""
    plain = layers.image("example/hello", [layers.layer_import(content)])
    document = json.dumps(json.loads(plain.config) | {"config": dict(config or {})}).encode()
    manifest = json.loads(plain.raw_manifest)
    manifest["config"] |= {"digest": str(Digest.of(document)), "size": len(document)}
    raw = json.dumps(manifest).encode()
    return replace(
        plain, config=document, config_digest=Digest.of(document),
        raw_manifest=raw, digest=Digest.of(raw),
    )  # fmt: skip


def layout(
    path: Path, content: Sequence[Member] | None = None, config: Mapping[str, object] | None = None
) -> Path:
    """The image as an OCI image layout with the tag `latest`; returns the path."""
    chosen = members() if content is None else content
    layers.write_layout(path, make(chosen, config), [layers.archive(chosen)])
    return path
