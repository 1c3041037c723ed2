# SPDX-License-Identifier: LGPL-2.1-or-later
"""`atomic images list` and `delete`."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from atomic_sys.engine.observe import installed
from atomic_sys.errors import AtomicSysError, NotFound, UsageError, doing
from atomic_sys.frozen import frozen
from atomic_sys.host import Host
from atomic_sys.log import warn
from atomic_sys.model.digest import Digest
from atomic_sys.model.reference import ImageName
from atomic_sys.store.images import StoredImage
from atomic_sys.verbs.sourcing import parse_image

if TYPE_CHECKING:
    from atomic_sys.store.sizes import Sizes

FILTERS = ("repo", "repository", "tag", "id", "image", "created", "size", "type", "is_dangling")


@frozen
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
    """All images of the store; those that cannot be read are warned of. Raises OSError."""
    containers = installed(host.root, host.paths)
    users: dict[str, list[str]] = {}
    for container in containers:
        if container.record is not None:
            users.setdefault(container.record.revision, []).append(container.name.value)
    survey = host.store.survey()
    for broken in survey.damaged:
        warn(
            f"the image {broken.name} is damaged: {broken.problem};"
            f" pull it again, or: atomic images delete {broken.name}"
        )
    return tuple(
        ListedImage(image=image, users=tuple(users.get(image.digest.hex, ())))
        for image in survey.images
    )


def image_sizes(listed: Sequence[ListedImage], host: Host) -> "Mapping[Digest, Sizes]":
    """What each image has for itself and shares with the others; `listed` are all there are."""
    # Here since only the list wants it.
    from atomic_sys.store.sizes import sizes_of

    return sizes_of(host.store.repository, [item.image for item in listed])


def every_name(host: Host) -> tuple[str, ...]:
    """The names of all images of the store, the damaged ones too."""
    survey = host.store.survey()
    names = [image.name for image in survey.images] + [broken.name for broken in survey.damaged]
    return tuple(map(str, names))


def names_to_delete(texts: Sequence[str], host: Host, *, force: bool) -> tuple[ImageName, ...]:
    """The images of these names or id prefixes, a damaged one by its name only.

    Raises as find_images() does.
    """
    damaged = {str(broken.name): broken.name for broken in host.store.survey().damaged}
    sound = [text for text in texts if _name_in_store(text) not in damaged]
    broken = dict.fromkeys(name for text in texts if (name := _name_in_store(text)) in damaged)
    found = find_images(sound, host, force=force) if sound else ()
    return (*(damaged[name] for name in broken), *(item.image.name for item in found))


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


def delete_images(names: Iterable[ImageName], host: Host) -> None:
    """Forget the names; `prune` frees what they named. Raises AtomicSysError."""
    for name in names:
        with doing(f"deleting {name}"):
            host.store.delete_image(name)
