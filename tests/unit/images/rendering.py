# SPDX-License-Identifier: LGPL-2.1-or-later
"""An example image's templates, rendered by the program's own renderer from the sources."""

from collections.abc import Mapping
from pathlib import Path

from atomic_sys.model.image_config import ImageConfig
from atomic_sys.model.names import ContainerName
from atomic_sys.render.exports import LIMITS, Exports
from atomic_sys.render.host_facts import HostFacts
from atomic_sys.render.hostfiles import EntryKind, HostEntry
from atomic_sys.render.render import (
    DefaultTemplates,
    Host,
    Image,
    Rendered,
    RenderRequest,
    render,
)
from atomic_sys.render.runtime_commands import RuntimeFeature

SOURCES = Path(__file__).parents[3] / "images"


def rendered(
    image: str,
    values: Mapping[str, str] | None = None,
    *,
    name: str = "",
    destination: str = "/var/lib/containers/atomic/x.0",
) -> Rendered:
    """What an install of the image would write; `name` is the container's, if it is another."""
    exports = SOURCES / image / "exports"
    files = {file: (exports / file).read_bytes() for file in LIMITS if (exports / file).exists()}
    host_files = exports / "hostfs"
    entries = tuple(
        HostEntry(path.relative_to(host_files).parts, EntryKind.FILE)
        for path in sorted(host_files.rglob("*"))
        if path.is_file()
    )
    return render(
        RenderRequest(
            name=ContainerName.parse(name or image),
            destination=destination,
            image=Image(
                name=image,
                digest="0" * 64,
                config=ImageConfig(diff_ids=()),
                exports=Exports.parse(files, image),
                host_entries=entries,
            ),
            host=Host(
                facts=HostFacts(),
                runtime="/usr/sbin/runc",
                features=RuntimeFeature.SYSTEMD_CGROUP | RuntimeFeature.PID_FILE,
                exists=lambda _path: True,
            ),
            templates=DefaultTemplates(config="{}", service=""),
            uuid="00000000-0000-4000-8000-000000000000",
            user_values=values or {},
        )
    )
