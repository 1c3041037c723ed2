# SPDX-License-Identifier: LGPL-2.1-or-later
"""A configuration as OCI has it: its keys, in its order, without what is empty."""

import json

import pytest

from atomic_sys.model.oci_config import image_history, oci_config
from atomic_sys.model.strict_json import InvalidJson


def test_keys_and_order() -> None:
    document = {
        "rootfs": {"diff_ids": ["sha256:00"], "type": "layers"},
        "history": [{"empty_layer": False, "created_by": "x", "created": "t", "odd": 1}],
        "docker_version": "1",
        "container_config": {"Cmd": ["x"]},
        "variant": "v8",
        "os": "linux",
        "author": "",
        "config": {"Labels": {"b": "2", "a": "1"}, "Env": [], "Hostname": "h", "User": "u"},
    }
    assert json.dumps(oci_config(json.dumps(document).encode())) == json.dumps({
        "architecture": "",
        "os": "linux",
        "variant": "v8",
        "config": {"User": "u", "Labels": {"a": "1", "b": "2"}},
        "rootfs": {"type": "layers", "diff_ids": ["sha256:00"]},
        "history": [{"created": "t", "created_by": "x"}],
    })


def test_least() -> None:
    assert oci_config(b"{}") == {
        "architecture": "",
        "os": "",
        "config": {},
        "rootfs": {"type": "", "diff_ids": None},
    }
    assert image_history(b'{"history": null}') == ()


@pytest.mark.parametrize("document", [b"[]", b'{"config": 1}', b'{"history": [1]}', b"{"])
def test_refused(document: bytes) -> None:
    with pytest.raises(InvalidJson):
        oci_config(document)
