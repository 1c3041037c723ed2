# SPDX-License-Identifier: LGPL-2.1-or-later
"""The files of /exports: which one wins, and what manifest.json may say."""

import json

import pytest

from atomic_sys.model.health import DataVersion, Health
from atomic_sys.model.hooks import Hook
from atomic_sys.model.strict_json import Json
from atomic_sys.render.exports import LIMITS, Exports
from atomic_sys.render.limits import TemplateError
from atomic_sys.render.settings import (
    DeclaredValue,
    InvalidSettings,
    Readiness,
    Settings,
    parse,
)
from atomic_sys.render.template import Syntax, Template
from atomic_sys.render.typed import ValueType


def manifest(**keys: Json) -> Settings:
    return parse(json.dumps(keys).encode(), "example/etcd")


def test_nothing_is_left_to_the_defaults() -> None:
    exports = Exports.parse({}, "image")
    assert (exports.config, exports.service, exports.tmpfiles) == (None, None, None)
    assert exports.settings == Settings()
    assert exports.templates == ()


def test_jinja_wins_over_the_legacy_syntax() -> None:
    exports = Exports.parse({"service.template": b"old", "service.j2": b"new"}, "image")
    assert exports.service is not None
    assert (exports.service.text, exports.service.syntax) == ("new", Syntax.JINJA)


def test_a_config_that_is_no_template_wins_over_both() -> None:
    files = {"config.json": b"{$x}", "config.json.j2": b"a", "config.json.template": b"b"}
    assert Exports.parse(files, "image").config == b"{$x}"
    assert isinstance(Exports.parse({"config.json.template": b"b"}, "image").config, Template)


def test_an_empty_template_is_a_template() -> None:
    exports = Exports.parse({"tmpfiles.template": b""}, "image")
    assert exports.tmpfiles is not None
    assert exports.tmpfiles.text == ""


@pytest.mark.parametrize("name", LIMITS)
def test_every_file_has_a_limit(name: str) -> None:
    with pytest.raises(TemplateError, match="larger than the limit"):
        Exports.parse({name: b" " * (LIMITS[name] + 1)}, "image")


def test_everything_that_a_manifest_may_say() -> None:
    settings = manifest(
        version="1.0",
        defaultValues={"A": "1", "N": 7},
        values={
            "PORT": {"type": "int", "default": 80, "description": "port", "required": True},
            "L": {"type": "list", "default": ["a"], "secret": True},
            "PLAIN": {},
        },
        noContainerService=True,
        renameFiles={"/a": "/b/$NAME"},
        installedFilesTemplate=["/a"],
        useLinks=False,
        health={"command": ["true"], "interval": 1.5, "retries": 5},
        readiness="command",
        state=["/var/lib/x", "$STATE_DIRECTORY/y"],
        dataVersion={"reads": [1, 2], "writes": 2},
        hooks={"pre-update": ["/bin/dump"]},
        unknown={"is": "ignored"},
    )
    assert settings == Settings(
        version="1.0",
        defaults={"A": "1", "N": "7"},
        declared={
            "PORT": DeclaredValue(
                type=ValueType.INTEGER, default="80", description="port", required=True
            ),
            "L": DeclaredValue(type=ValueType.LIST, default='["a"]', secret=True),
            "PLAIN": DeclaredValue(),
        },
        has_service=False,
        rename_files={"/a": "/b/$NAME"},
        installed_files_template=("/a",),
        use_links=False,
        health=Health(command=("true",), interval=1.5, timeout=30.0, retries=5, start_period=0.0),
        readiness=Readiness.COMMAND,
        state=("/var/lib/x", "$STATE_DIRECTORY/y"),
        data_version=DataVersion(reads=(1, 2), writes=2),
        hooks={Hook.PRE_UPDATE: ("/bin/dump",)},
    )
    assert settings.all_defaults() == {"A": "1", "N": "7", "PORT": "80", "L": '["a"]'}
    assert settings.names == {"A", "N", "PORT", "L", "PLAIN"}
    assert settings.secrets == {"L"}


def test_a_manifest_without_defaults() -> None:
    assert manifest(version="1.0") == Settings()
    assert manifest(version=1, defaultValues=None).defaults == {}


@pytest.mark.parametrize(
    "keys",
    [
        {"defaultValues": []},
        {"defaultValues": {"A": True}},
        {"defaultValues": {"A": None}},
        {"defaultValues": {"A": "x" * (64 * 1024 + 1)}},
        {"values": {"A": "x"}},
        {"values": {"A": {"type": "float"}}},
        {"values": {"A": {"type": "int", "default": "x"}}},
        {"noContainerService": "yes"},
        {"renameFiles": {"/a": 1}},
        {"installedFilesTemplate": "/a"},
        {"useLinks": 1},
        {"health": {"command": []}},
        {"health": {"command": ["a"], "interval": -1}},
        {"health": {"command": ["a"], "retries": 1.5}},
        {"readiness": "soon"},
        {"state": ["relative"]},
        {"dataVersion": {"reads": "1", "writes": 1}},
        {"hooks": {"pre-update": "b"}},
        {"hooks": {"pre-update": []}},
        {"hooks": {"pre-update": [""]}},
        {"hooks": {"uninstall": ["a\0b"]}},
        {"hooks": {"preupdate": ["a"]}},
        {"hooks": ["a"]},
        {"version": ["1"]},
    ],
)
def test_a_known_key_of_the_wrong_type_is_an_error(keys: dict[str, Json]) -> None:
    with pytest.raises(InvalidSettings) as caught:
        manifest(**keys)
    assert str(caught.value) == "Invalid manifest.json file in image: example/etcd."
    assert caught.value.hint


@pytest.mark.parametrize("document", [b"", b"[]", b'{"a":1,"a":2}', b"{}x", b"\xff"])
def test_a_manifest_is_strict_json(document: bytes) -> None:
    with pytest.raises(InvalidSettings):
        parse(document, "image")
