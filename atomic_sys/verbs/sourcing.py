# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a verb needs to fetch and judge an image; a pull imports this and nothing else."""

import os
from dataclasses import replace
from typing import TYPE_CHECKING

from atomic_sys.host import Host
from atomic_sys.model.source import Source, parse_source

if TYPE_CHECKING:  # many verbs only parse the name of an image
    from atomic_sys.engine.judge import Judge
    from atomic_sys.engine.pull import ImageAt


def make_judge(host: Host) -> "Judge":
    """Today's policy, ready to judge. Raises Rejected when there is none."""
    from atomic_sys.engine.judge import Judge

    return Judge(
        policy=host.policy,
        lookaside=host.lookaside,
        get=host.http.get_document,
        read_key=host.read_key,
        verifier=host.verifier,
        require_signed=host.options.require_signed,
    )


def parse_image(text: str) -> Source:
    """An image argument. Raises UsageError."""
    return parse_source(text, is_directory=os.path.isdir)


def locate(host: Host, source: Source) -> "ImageAt":
    """The image and the way to it. Raises AtomicSysError."""
    from atomic_sys.engine import sources

    docker_host = host.environment.get("DOCKER_HOST")
    at = sources.locate(source, host.http, host.registries, host.credentials, docker_host)
    return replace(at, limits=host.configuration.limits)
