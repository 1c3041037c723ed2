# SPDX-License-Identifier: LGPL-2.1-or-later
"""Foreign layers: those that a registry may not give away, and that are fetched from their makers.

Only layers of these types have addresses that are asked, and nobody's credentials go there
(CVE-2020-15157). Source: image-spec layer.md, "Non-Distributable Layers".
"""

import contextlib
from collections.abc import Iterator, Mapping

from atomic_sys.image.http import Http, Request
from atomic_sys.image.http_response import Response
from atomic_sys.model.manifest import Descriptor

_PREFIXES = (
    "application/vnd.oci.image.layer.nondistributable.v1.tar",
    "application/vnd.docker.image.rootfs.foreign.diff.tar",
)
MOST_URLS = 8  # of one layer that are tried


def foreign_urls(descriptor: Descriptor) -> tuple[str, ...]:
    """Where a foreign layer is to be had; nothing for any other blob."""
    if not descriptor.media_type.startswith(_PREFIXES):
        return ()
    wanted = (url for url in descriptor.urls if url.startswith(("https://", "http://")))
    return tuple(wanted)[:MOST_URLS]


@contextlib.contextmanager
def open_url(http: Http, url: str, headers: Mapping[str, str]) -> Iterator[Response]:
    """The answer: 200, or 206 where there are headers. Raises NetworkError for any other."""
    with http.send(Request(url=url, headers=headers)) as response:
        if response.status != 200 and not (headers and response.status == 206):
            raise response.failure("a foreign layer")
        yield response
