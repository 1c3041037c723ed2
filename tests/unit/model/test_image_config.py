# SPDX-License-Identifier: LGPL-2.1-or-later
"""Image configurations: what is read, what may be missing, what is refused."""

import json
from typing import Any

import pytest

from atomic_sys.errors import AtomicSysError
from atomic_sys.model.digest import Digest
from atomic_sys.model.image_config import ImageConfig, parse

DIFF_ID = "sha256:" + "a" * 64
ROOTFS = {"type": "layers", "diff_ids": [DIFF_ID, DIFF_ID]}


def read(body: object) -> ImageConfig:
    return parse(json.dumps(body).encode())


def test_full() -> None:
    body = {
        "created": "2026-01-01T00:00:00Z",
        "architecture": "amd64",
        "rootfs": ROOTFS,
        "config": {
            "Env": ["A=1", "B="],
            "Entrypoint": ["/init"],
            "Cmd": ["run"],
            "User": "1:1",
            "WorkingDir": "/srv",
            "StopSignal": "SIGINT",
            "Volumes": {"/a": {}, "/b": {}},
            "Labels": {"x": "y"},
        },
    }
    assert read(body) == ImageConfig(
        diff_ids=(Digest.parse(DIFF_ID),) * 2,
        created="2026-01-01T00:00:00Z",
        environment=("A=1", "B="),
        entrypoint=("/init",),
        command=("run",),
        user="1:1",
        working_directory="/srv",
        stop_signal="SIGINT",
        volumes=("/a", "/b"),
        labels={"x": "y"},
    )


@pytest.mark.parametrize(
    "config",
    [
        None,
        {},
        dict.fromkeys(("Env", "Entrypoint", "Cmd", "User", "Volumes", "Labels", "WorkingDir")),
    ],
)
def test_little(config: dict[str, Any] | None) -> None:
    body: dict[str, Any] = {"rootfs": {"type": "layers", "diff_ids": None}, "config": config}
    assert read(body) == ImageConfig(diff_ids=())
    assert read({"rootfs": {"type": "layers"}}) == ImageConfig(diff_ids=())


@pytest.mark.parametrize(
    "body",
    [
        [],
        {},
        {"rootfs": None},
        {"rootfs": {"diff_ids": []}},
        {"rootfs": {"type": "other", "diff_ids": []}},
        {"rootfs": {"type": "layers", "diff_ids": DIFF_ID}},
        {"rootfs": {"type": "layers", "diff_ids": ["sha256:abc"]}},
        {"rootfs": {"type": "layers", "diff_ids": [5]}},
        {"rootfs": ROOTFS, "config": [1]},
        {"rootfs": ROOTFS, "config": {"Env": "A=1"}},
        {"rootfs": ROOTFS, "config": {"Cmd": "run"}},
        {"rootfs": ROOTFS, "config": {"Entrypoint": [1]}},
        {"rootfs": ROOTFS, "config": {"User": 0}},
        {"rootfs": ROOTFS, "config": {"Volumes": ["/a"]}},
        {"rootfs": ROOTFS, "config": {"Labels": {"a": 1}}},
        {"rootfs": ROOTFS, "created": 5},
    ],
)
def test_refused(body: object) -> None:
    with pytest.raises(AtomicSysError):
        read(body)
