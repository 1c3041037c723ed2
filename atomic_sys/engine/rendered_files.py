# SPDX-License-Identifier: LGPL-2.1-or-later
"""The files of a deployment that are rendered: config.json, the unit and the tmpfiles. Pure."""

import hashlib

from atomic_sys.frozen import frozen
from atomic_sys.render.render import Rendered

CONFIG_NAME = "config.json"
SECRET_MODE = 0o600  # of a file with values that are not to be shown


@frozen
class RenderedFile:
    """Its content, and the mode that it has in the deployment."""

    content: bytes
    mode: int = 0o644


def rendered_files(rendered: Rendered) -> dict[str, RenderedFile]:
    """The files by their names in the deployment."""
    name = rendered.values.all["NAME"]
    mode = SECRET_MODE if rendered.values.secrets else 0o644
    files = {CONFIG_NAME: RenderedFile(content=rendered.config, mode=mode)}
    if rendered.unit is not None:
        files[f"{name}.service"] = RenderedFile(content=rendered.unit.encode())
    if rendered.tmpfiles is not None:
        files[f"tmpfiles-{name}.conf"] = RenderedFile(content=rendered.tmpfiles.encode())
    return files


def checksums(rendered: Rendered) -> dict[str, str]:
    """What the record keeps of them: sha256 in hex."""
    return {name: sha256(file.content) for name, file in rendered_files(rendered).items()}


def sha256(content: bytes) -> str:
    """The checksum in hex."""
    return hashlib.sha256(content).hexdigest()
