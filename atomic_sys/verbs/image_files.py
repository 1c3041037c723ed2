# SPDX-License-Identifier: LGPL-2.1-or-later
"""`atomic images diff` and `checkout`: the files of an image, compared and written out."""

import os
from collections.abc import Callable

from atomic_sys.engine import observe
from atomic_sys.engine.verify import deployed_tree
from atomic_sys.errors import AtomicSysError, NotFound, UsageError, doing
from atomic_sys.fs.atomic import rename_new, sync_file_system, temporary_name
from atomic_sys.fs.directory import exists, open_root, remove_tree
from atomic_sys.host import Host
from atomic_sys.model.digest import Digest
from atomic_sys.model.names import ContainerName
from atomic_sys.store.checkout import Content
from atomic_sys.store.differences import Differences, compare
from atomic_sys.store.view import Tree
from atomic_sys.verbs.image_details import find_image


def differences(old: str, new: str | None, host: Host) -> Differences:
    """What is other in the second than in the first; of one alone, what its last layer changed.

    Each is an image of the store, or a container, which stands for the image that it was installed
    from. Raises NotFound, UsageError, Damaged.
    """
    if new is None:
        image = find_image(old, host).image
        with doing(f"reading {image.name}"):
            return compare(host.store.tree_below(image).root, host.store.tree(image).root)
    return compare(_tree(old, host).root, _tree(new, host).root)


def _tree(text: str, host: Host) -> Tree:
    try:
        image = find_image(text, host).image
    except NotFound:
        tree = _tree_of_container(text, host)
        if tree is None:
            raise
        return tree
    with doing(f"reading {image.name}"):
        return host.store.tree(image)


def _tree_of_container(text: str, host: Host) -> Tree | None:
    """The tree of the image that a container was installed from; None without such a container."""
    try:
        name = ContainerName.parse(text)
    except UsageError:
        return None
    container = observe.find(host.root, host.paths, name)
    if container is None:
        return None
    if container.record is None:
        raise AtomicSysError(f"the container {name} does not say its image: {container.problem}")
    digest = Digest.parse(f"sha256:{container.record.revision}")
    images = [image for image in host.store.images() if image.digest == digest]
    if images:
        return host.store.tree(images[0])
    return deployed_tree(host.store, container.record)


def check_out_image(
    text: str, path: str, host: Host, *, content: Content, say: Callable[[str], None]
) -> str:
    """Write the file tree of an image to a new directory; returns the image's name.

    The directory appears when it is whole and on the disk. Raises NotFound, AtomicSysError where
    something is at the path already, Damaged, OSError.
    """
    image = find_image(text, host).image
    above, _, name = os.path.abspath(path).rpartition("/")
    parent = open_root(above or "/")
    try:
        if not name or exists(parent, name):
            raise _exists(path)
        with doing(f"checking out {image.name}"):
            tree = host.store.tree(image)
            say(f"Extracting to {path}")
            _write(parent, name, lambda new: host.store.check_out(tree, parent, new, content))
    except FileExistsError:
        raise _exists(path) from None
    finally:
        os.close(parent)
    return str(image.name)


def _exists(path: str) -> AtomicSysError:
    return AtomicSysError(f"{path} exists already", hint="name a directory that does not exist")


def _write(parent: int, name: str, make: Callable[[str], object]) -> None:
    """Make it under another name, sync it, and give it its own name, unless that is taken."""
    temporary = temporary_name(name)
    try:
        make(temporary)
        sync_file_system(parent)
        rename_new(parent, temporary, name)
    except BaseException:
        remove_tree(parent, temporary)
        raise
