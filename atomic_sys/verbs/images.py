# SPDX-License-Identifier: LGPL-2.1-or-later
"""`atomic images list`, `delete` and `prune`."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from atomic_sys.engine.observe import all_deployments, installed
from atomic_sys.errors import AtomicSysError, NotFound, UsageError, doing
from atomic_sys.host import Host
from atomic_sys.store.images import StoredImage
from atomic_sys.store.prune import PruneReport
from atomic_sys.verbs.support import parse_image

FILTERS = ("repo", "repository", "tag", "id", "image", "created", "size", "type", "is_dangling")


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedImage:
    """A row of the list; `users` are the containers whose current deployment is of this image."""

    image: StoredImage
    users: tuple[str, ...]

    @property
    def signers(self) -> tuple[str, ...]:
        """Who signed it, by the verdict that let it in."""
        verdict = json.loads(self.image.verdict or "{}")
        return tuple(
            dict.fromkeys(
                signature["signer"]
                for requirement in verdict.get("requirements", ())
                for signature in requirement["signatures"]
                if signature["accepted"]
            )
        )


def list_images(host: Host) -> tuple[ListedImage, ...]:
    """All images of the store. Raises Damaged, OSError."""
    containers = installed(host.root, host.paths)
    users: dict[str, list[str]] = {}
    for container in containers:
        if container.record is not None:
            users.setdefault(container.record.revision, []).append(container.name.value)
    return tuple(
        ListedImage(image=image, users=tuple(users.get(image.digest.hex, ())))
        for image in host.store.images()
    )


def find_images(texts: Sequence[str], host: Host, *, force: bool) -> tuple[ListedImage, ...]:
    """The images of these names or id prefixes, each once, all found before any is touched.

    Raises NotFound for one that is not there, and AtomicSysError for one that a current deployment
    uses unless `force`.
    """
    every = {item.image.name: item for item in list_images(host)}
    found: dict[str, ListedImage] = {}
    for text in texts:
        matching = host.store.find(text) or host.store.find(_name_in_store(text))
        if not matching:
            raise NotFound(f"Unable to find the image {text}", hint="atomic images list")
        found |= {str(image.name): every[image.name] for image in matching}
    for item in found.values():
        if item.users and not force:
            raise AtomicSysError(
                f"the image {item.image.name} is in use by {', '.join(item.users)}",
                hint="uninstall the container first, or use --force",
            )
    return tuple(found.values())


def _name_in_store(text: str) -> str:
    """The name that an image argument such as `oci:DIR:TAG` has in the store, else the text."""
    try:
        return str(parse_image(text).name)
    except UsageError:
        return text


def delete_images(images: Iterable[ListedImage], host: Host) -> None:
    """Forget the names; `prune` frees what they named. Raises AtomicSysError."""
    for item in images:
        with doing(f"deleting {item.image.name}"):
            host.store.delete_image(item.image.name)


def prune_images(host: Host) -> PruneReport:
    """Free what no image and no deployment needs. Raises Damaged, Busy, OSError."""
    kept = {
        deployment.record.commit
        for container in installed(host.root, host.paths)
        for deployment in all_deployments(host.root, host.paths, container)
        if deployment.record is not None
    }
    return host.store.prune(keep=kept)
