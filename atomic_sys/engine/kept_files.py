# SPDX-License-Identifier: LGPL-2.1-or-later
"""A deployment's own copies of its host files, so that a rollback renders nothing again. Pure.

NAME.N/host-files.json lists them, NAME.N/host-files/SHA256 is the content of each file.
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence

from atomic_sys.engine.operations import InstallHostFile, WriteFile
from atomic_sys.model import strict_json
from atomic_sys.model.strict_json import (
    InvalidJson,
    Json,
    as_array,
    as_integer,
    as_object,
    as_string,
)

LIST_NAME = "host-files.json"
DIRECTORY = "host-files"
_ONLY_ROOT = 0o600  # values may be rendered into them


def keep(items: Sequence[InstallHostFile], deployment: str) -> tuple[WriteFile, ...]:
    """The steps that put copies of the items into a new deployment."""
    if not items:
        return ()
    contents = {_sha256(item.content): item.content for item in items if item.content is not None}
    listed: list[Json] = [
        {
            "path": item.path,
            "mode": item.mode,
            "sha256": None if item.content is None else _sha256(item.content),
            "target": item.target,
        }
        for item in items
    ]
    document = json.dumps(listed, indent=4).encode() + b"\n"
    return (
        *(
            WriteFile(
                directory=f"{deployment}/{DIRECTORY}", name=name, content=content, mode=_ONLY_ROOT
            )
            for name, content in contents.items()
        ),
        WriteFile(directory=deployment, name=LIST_NAME, content=document),
    )


def kept(
    document: bytes, read: Callable[[str], bytes | None], what: str
) -> tuple[InstallHostFile, ...]:
    """The items of a deployment's list; `read` gives a copy by its name.

    Raises InvalidJson also for a copy that is missing or is not what the list says.
    """
    return tuple(
        _item(as_object(entry, what), read, what)
        for entry in as_array(strict_json.loads(document, what), what)
    )


def _item(
    entry: Mapping[str, Json], read: Callable[[str], bytes | None], what: str
) -> InstallHostFile:
    path = as_string(entry.get("path"), f"{what}: path")
    mode = as_integer(entry.get("mode"), f"{what}: mode")
    if entry.get("sha256") is None:
        target = as_string(entry.get("target"), f"{what}: target")
        return InstallHostFile(path=path, target=target, mode=mode)
    checksum = as_string(entry.get("sha256"), f"{what}: sha256")
    content = read(checksum)
    if content is None or _sha256(content) != checksum:
        raise InvalidJson(f"{what}: the copy of {path} is missing or damaged")
    return InstallHostFile(path=path, content=content, mode=mode)


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
