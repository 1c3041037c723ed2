# SPDX-License-Identifier: LGPL-2.1-or-later
"""An image configuration reduced to what OCI's has, in its order: what `inspect --config` prints.

Docker's configurations have more (Hostname, container_config, ...), which goes; empty values go
too, as Go's encoder leaves them out. Source: image-spec config.md, specs-go/v1/config.go.
"""

from collections.abc import Mapping

from atomic_sys.model import strict_json
from atomic_sys.model.strict_json import Json, as_array, as_object

_WHAT = "image config"
_ALWAYS = ("architecture", "os")
_IMAGE = ("created", "author", "architecture", "os", "os.version", "os.features", "variant")
_PROCESS = (
    "User", "ExposedPorts", "Env", "Entrypoint", "Cmd", "Volumes", "WorkingDir", "Labels",
    "StopSignal", "ArgsEscaped",
)  # fmt: skip
_HISTORY = ("created", "created_by", "author", "comment", "empty_layer")


def oci_config(document: bytes) -> dict[str, Json]:
    """The configuration as OCI has it. Raises strict_json.InvalidJson."""
    body = as_object(strict_json.loads(document, _WHAT), _WHAT)
    process = as_object(body.get("config") or {}, f"{_WHAT}: config")
    rootfs = as_object(body.get("rootfs") or {}, f"{_WHAT}: rootfs")
    some = _some(body, _IMAGE)
    result: dict[str, Json] = {
        key: some.get(key, "") for key in _IMAGE if key in some or key in _ALWAYS
    }
    result["config"] = _some(process, _PROCESS)
    result["rootfs"] = {"type": rootfs.get("type", ""), "diff_ids": rootfs.get("diff_ids")}
    if history := image_history(document):
        result["history"] = [_some(entry, _HISTORY) for entry in history]
    return result


def image_history(document: bytes) -> tuple[Mapping[str, Json], ...]:
    """The entries of `history`, oldest first. Raises strict_json.InvalidJson."""
    body = as_object(strict_json.loads(document, _WHAT), _WHAT)
    entries = as_array(body.get("history") or [], f"{_WHAT}: history")
    return tuple(as_object(entry, f"{_WHAT}: an entry of history") for entry in entries)


def _some(body: Mapping[str, Json], keys: tuple[str, ...]) -> dict[str, Json]:
    """The values of these keys that are not empty; the keys of a map are sorted, as Go does it."""
    found: dict[str, Json] = {}
    for key in keys:
        value = body.get(key)
        if value:
            found[key] = dict(sorted(value.items())) if isinstance(value, dict) else value
    return found
