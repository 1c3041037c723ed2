# SPDX-License-Identifier: LGPL-2.1-or-later
"""The image configuration (image-spec config.md): what runs, and the layers' diff ids."""

from collections.abc import Mapping
from dataclasses import field

from atomic_sys.frozen import frozen
from atomic_sys.model import health, strict_json
from atomic_sys.model.digest import Digest
from atomic_sys.model.health import Health
from atomic_sys.model.strict_json import (
    InvalidJson,
    Json,
    as_array,
    as_object,
    as_string,
    as_string_map,
    as_strings,
)

CONFIG_LIMIT = 4 << 20  # bytes


@frozen
class ImageConfig:
    """The parts of an image configuration that an installer needs."""

    diff_ids: tuple[Digest, ...]
    created: str = ""
    environment: tuple[str, ...] = ()
    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    user: str = ""
    working_directory: str = ""
    stop_signal: str = ""
    volumes: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    health: Health | None = None


def parse(document: bytes) -> ImageConfig:
    """Read an image configuration.

    Raises strict_json.InvalidJson or digest.InvalidDigest.
    """
    what = "image config"
    body = as_object(strict_json.loads(document, what), what)
    process = as_object(body.get("config") or {}, f"{what}: config")
    rootfs = as_object(body.get("rootfs"), f"{what}: rootfs")
    if as_string(rootfs.get("type"), f"{what}: rootfs.type") != "layers":
        raise InvalidJson(f"{what}: rootfs.type is not 'layers'")
    diff_ids = as_array(rootfs.get("diff_ids") or [], f"{what}: rootfs.diff_ids")
    volumes = as_object(process.get("Volumes") or {}, f"{what}: Volumes")
    return ImageConfig(
        diff_ids=tuple(Digest.parse(as_string(item, f"{what}: a diff id")) for item in diff_ids),
        created=_optional(body, "created", what),
        environment=as_strings(process.get("Env"), f"{what}: Env"),
        entrypoint=as_strings(process.get("Entrypoint"), f"{what}: Entrypoint"),
        command=as_strings(process.get("Cmd"), f"{what}: Cmd"),
        user=_optional(process, "User", what),
        working_directory=_optional(process, "WorkingDir", what),
        stop_signal=_optional(process, "StopSignal", what),
        volumes=tuple(volumes),
        labels=as_string_map(process.get("Labels"), f"{what}: Labels"),
        health=health.of_image(process.get("Healthcheck") or {}, f"{what}: Healthcheck"),
    )


def _optional(body: Mapping[str, Json], key: str, what: str) -> str:
    value = body.get(key)
    return "" if value is None else as_string(value, f"{what}: {key}")
