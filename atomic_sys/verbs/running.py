# SPDX-License-Identifier: LGPL-2.1-or-later
"""Whether a word means a container or an image: a container of exactly that name wins."""

import contextlib

from atomic_sys.engine.observe import find, installed
from atomic_sys.engine.pull import Pulled
from atomic_sys.engine.report import Report
from atomic_sys.errors import NotFound, UsageError, doing
from atomic_sys.host import Host
from atomic_sys.model.names import ContainerName
from atomic_sys.verbs.finding import find_image
from atomic_sys.verbs.run_once import wants_to_run_once
from atomic_sys.verbs.support import parse_image

_IMAGE_SIGNS = ("/", ":", "@")  # that the name of a container cannot have


def installed_name(text: str, host: Host) -> ContainerName | None:
    """The installed container of exactly this name; None where there is none. Raises OSError."""
    with contextlib.suppress(UsageError):
        name = ContainerName.parse(text)
        return None if find(host.root, host.paths, name) is None else name
    return None


def container_or_image(text: str, host: Host) -> ContainerName | None:
    """The installed container, or None for what can only be an image.

    Raises NotFound for a plain word that is neither a container nor an image of the store.
    """
    name = installed_name(text, host)
    if name is not None or any(sign in text for sign in _IMAGE_SIGNS):
        return name
    if host.store.image(parse_image(text).name) is None:
        raise NotFound(
            f"Unable to find the container {text}, nor an image of that name in the store",
            hint="atomic containers list --all and atomic images list show what there is",
        )
    return None


def container_of_image(text: str, host: Host) -> ContainerName | None:
    """The only container that was installed from an image of this name; None where none was.

    Clients of the predecessor name containers by their images. Raises UsageError where several
    were.
    """
    if not any(sign in text for sign in _IMAGE_SIGNS):
        return None
    wanted = _image_name(text)
    found = [
        one.name
        for one in installed(host.root, host.paths)
        if one.record is not None and _image_name(one.record.image) == wanted
    ]
    if len(found) > 1:
        names = " and ".join(map(str, found))
        raise UsageError(f"{text} is the image of {names}", hint="name the container")
    return found[0] if found else None


def _image_name(text: str) -> str | None:
    """The image's name in the store; None for what is no image."""
    with contextlib.suppress(UsageError):
        return str(parse_image(text).name)
    return None


def container_to_remove(text: str, host: Host) -> ContainerName:
    """The container of this name, or else the only one of this image.

    Raises NotFound, UsageError.
    """
    name = installed_name(text, host) or container_of_image(text, host)
    if name is None and any(sign in text for sign in _IMAGE_SIGNS):
        raise NotFound(
            f"Unable to find a container of the image {text}",
            hint="atomic containers list --all shows what is installed",
        )
    return name or ContainerName.parse(text)


def image_to_run(text: str, host: Host, report: Report, *, has_command: bool) -> Pulled:
    """The image, judged, and pulled where the store does not have it.

    Without a command it must be one that wants to run once: whoever runs a service by its image's
    name would wait for its end. Raises AtomicSysError.
    """
    with doing(f"running {text}"):
        pulled = find_image(parse_image(text), text, host, report)
        if not has_command and not wants_to_run_once(pulled, host):
            raise NotFound(
                f"The container {text!r} doesn't exist, and its image is not one that runs once",
                hint=f"atomic install --system {text}, or atomic run {text} COMMAND",
            )
        return pulled
