# SPDX-License-Identifier: LGPL-2.1-or-later
"""The runtime config of a container: checked for what the store depends on, and otherwise left.

The root must be read-only, for its files are the store's own. The rest is between image and
runtime: old spec versions, capabilities as a list, stray keys pass, as they did in the
predecessor. Sources: runtime-spec config.md; the predecessor's contract ("config.json checks").
"""

import json
import posixpath
from collections.abc import Mapping, Sequence
from enum import Enum

from atomic_sys.errors import AtomicSysError
from atomic_sys.frozen import frozen
from atomic_sys.model import strict_json
from atomic_sys.model.strict_json import InvalidJson, Json

ROOTFS = "rootfs"


class InvalidConfig(AtomicSysError):
    """A config.json that cannot be used."""


@frozen
class Config:
    """A checked config.json: its exact bytes, and the sources of its bind mounts, in order."""

    document: bytes
    bind_sources: tuple[str, ...]


class Root(Enum):
    """Whose the files of the root are."""

    SHARED = "the store's own"
    ELSEWHERE = "those of a directory that others share"
    OWN = "copies, which may be written to"


def check(document: bytes, path: str, files: Root = Root.SHARED) -> Config:
    """Check a config.json; `path` names it in the error. An empty object is accepted.

    Raises InvalidConfig.
    """
    body = _parse(document, path)
    if body and files is not Root.OWN:
        root = body.get("root")
        if not isinstance(root, dict) or root.get("readonly") is not True:
            raise InvalidConfig("Invalid configuration file.  Only readonly images are supported")
        if files is Root.SHARED and root.get("path") != ROOTFS:
            raise InvalidConfig("Invalid configuration file.  Path must be 'rootfs'")
    return Config(document=document, bind_sources=_bind_sources(body, path))


def is_writable(config: Config) -> bool:
    """Whether the container may write to its root."""
    root = _parse(config.document, "config.json").get("root")
    return not isinstance(root, dict) or root.get("readonly") is not True


def bind_sources(document: bytes, path: str) -> tuple[str, ...]:
    """The absolute sources of the bind mounts, of a config whose root may be anywhere.

    Raises InvalidConfig.
    """
    return _bind_sources(_parse(document, path), path)


def with_root(config: Config, root: str) -> Config:
    """The config with another root directory: the predecessor's `--rootfs`, an absolute path."""
    body = dict(_parse(config.document, "config.json"))
    old = body.get("root")
    body["root"] = (dict(old) if isinstance(old, dict) else {"readonly": True}) | {"path": root}
    document = (json.dumps(body, indent="\t") + "\n").encode()
    return Config(document=document, bind_sources=config.bind_sources)


def with_command(config: Config, root: str, arguments: Sequence[str], *, terminal: bool) -> Config:
    """The config of the same container for another command, with a root directory of its own path.

    The cgroup is left to the runtime: the service may have its own at the same time.
    """
    body = dict(_parse(with_root(config, root).document, "config.json"))
    old, linux = body.get("process"), body.get("linux")
    process: dict[str, Json] = dict(old) if isinstance(old, dict) else {"cwd": "/"}
    if arguments:
        process["args"] = list(arguments)
    body["process"] = process | {"terminal": terminal}
    if isinstance(linux, dict):
        body["linux"] = {key: value for key, value in linux.items() if key != "cgroupsPath"}
    document = (json.dumps(body, indent="\t") + "\n").encode()
    return Config(document=document, bind_sources=config.bind_sources)


def _parse(document: bytes, path: str) -> Mapping[str, Json]:
    try:
        return strict_json.as_object(strict_json.loads(document, path), path)
    except InvalidJson as error:
        raise InvalidConfig(
            f"Invalid json in configuration file: {path}.", hint=str(error)
        ) from None


def _bind_sources(body: Mapping[str, Json], path: str) -> tuple[str, ...]:
    try:
        mounts = strict_json.as_array(body.get("mounts") or [], "mounts")
        sources = [_bind_source(strict_json.as_object(mount, "a mount")) for mount in mounts]
    except InvalidJson as error:
        message = f"Invalid json in configuration file: {path}."
        raise InvalidConfig(message, hint=str(error)) from None
    return tuple(dict.fromkeys(source for source in sources if source is not None))


def _bind_source(mount: Mapping[str, Json]) -> str | None:
    """The absolute source of a bind mount; relative ones are inside the deployment."""
    source, options = mount.get("source"), mount.get("options")
    flags = options if isinstance(options, list) else []
    if mount.get("type") != "bind" and "bind" not in flags and "rbind" not in flags:
        return None
    if not isinstance(source, str) or not source.startswith("/"):
        return None
    return "/" + posixpath.normpath(source).lstrip("/")
