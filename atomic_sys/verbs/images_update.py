# SPDX-License-Identifier: LGPL-2.1-or-later
"""`atomic images update`: ask the source of an image again, and pull what it has now.

The name in the store stays; so do the deployments and their files.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from enum import Enum

from atomic_sys.engine import pull
from atomic_sys.engine.report import Report
from atomic_sys.engine.sources import stored_source
from atomic_sys.errors import AtomicSysError, doing
from atomic_sys.frozen import frozen
from atomic_sys.host import Host
from atomic_sys.log import warn
from atomic_sys.model.digest import Digest
from atomic_sys.model.reference import ImageName
from atomic_sys.model.source import Source
from atomic_sys.store.images import StoredImage
from atomic_sys.verbs.images import find_images, list_images
from atomic_sys.verbs.support import locate, make_judge, parse_image


class UpdateStatus(Enum):
    """How the update of an image ended, in the predecessor's words."""

    UPDATED = "Updated now"
    CURRENT = "Updated"
    FAILED = "Could not pull"


@frozen
class ImageUpdate:
    """What became of one image; `problem` says why it could not be pulled."""

    name: ImageName
    before: Digest
    after: Digest
    status: UpdateStatus
    problem: str | None = None


def update_images(texts: Iterable[str], host: Host, report: Report) -> Iterator[ImageUpdate]:
    """Update the images of these names or id prefixes, which are all looked up first.

    A deployment keeps the files that it has. Raises NotFound, and AtomicSysError for the first one
    that cannot be pulled.
    """
    for item in find_images(tuple(texts), host, force=True):
        with doing(f"updating {item.image.name}"):
            yield _update(item.image, host, report)


def update_all(host: Host, report: Report) -> Iterator[ImageUpdate]:
    """Update every image; one that cannot be pulled does not stop the others.

    An image of the predecessor's whose name is not qualified is passed over, as there: nobody knows
    where it came from.
    """
    for item in list_images(host):
        image = item.image
        if image.source is None and not image.name.is_qualified:
            warn(f"Image {image.name} not fully qualified: skipping")
            continue
        try:
            yield _update(image, host, report)
        except AtomicSysError as error:
            yield ImageUpdate(
                name=image.name,
                before=image.digest,
                after=image.digest,
                status=UpdateStatus.FAILED,
                problem=str(error),
            )


def _update(image: StoredImage, host: Host, report: Report) -> ImageUpdate:
    at = replace(locate(host, _source(image)), name=image.name)
    pulled = pull.pull(at, host.platform, host.store, make_judge(host), report)
    changed = pulled.image.digest != image.digest
    return ImageUpdate(
        name=image.name,
        before=image.digest,
        after=pulled.image.digest,
        status=UpdateStatus.UPDATED if changed else UpdateStatus.CURRENT,
    )


def _source(image: StoredImage) -> Source:
    """Where the image came from, whatever its name is now. Raises UsageError."""
    return stored_source(image) if image.source is None else parse_image(image.source)
