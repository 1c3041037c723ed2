# SPDX-License-Identifier: LGPL-2.1-or-later
"""What rendering must know of an image and of the host; everything is read, nothing changed."""

import uuid
from collections.abc import Mapping

from atomic_sys.frozen import frozen
from atomic_sys.model import image_config
from atomic_sys.model.names import ContainerName
from atomic_sys.render.config import Root
from atomic_sys.render.exports import LIMITS, Exports
from atomic_sys.render.hostfiles import EntryKind, HostEntry
from atomic_sys.render.render import DefaultTemplates, Host, Image, Rendered, RenderRequest, render
from atomic_sys.render.users import find_user
from atomic_sys.store.images import StoredImage
from atomic_sys.store.store import Store
from atomic_sys.store.view import Tree, TreeEntry

HOST_FILES = "/exports/hostfs"
_ACCOUNTS = ("/etc/passwd", "/etc/group")
# All paths of an image whose content is read here, and by host_files.
CONTENT_NEEDED = (*(f"/exports/{name}" for name in LIMITS), HOST_FILES, *_ACCOUNTS)
_ACCOUNTS_LIMIT = 4 << 20  # bytes of the image's /etc/passwd or /etc/group


@frozen
class HostView:
    """The host as templates see it, and the templates for images that bring none."""

    host: Host
    templates: DefaultTemplates


@frozen
class Deployment:
    """What a deployment is made of: its name, its directory, and the values the user chose.

    `uuid` is that of the deployment before it; a new one is made where there is none. `rootfs` is
    a directory elsewhere with its files.
    """

    name: ContainerName
    directory: str
    user_values: Mapping[str, str]
    uuid: str | None = None
    rootfs: str | None = None
    files: Root = Root.SHARED


def prepare(
    deployment: Deployment, image: StoredImage, tree: Tree, store: Store, view: HostView
) -> Rendered:
    """Render and check all texts of a deployment.

    Raises UsageError for a value that cannot be set, TemplateError, InvalidConfig and their like.
    """
    return render(
        RenderRequest(
            name=deployment.name,
            destination=deployment.directory,
            image=_image(image, tree, store),
            host=view.host,
            templates=view.templates,
            uuid=deployment.uuid or str(uuid.uuid4()),
            user_values=deployment.user_values,
            remote_rootfs=deployment.rootfs,
            files=deployment.files,
        )
    )


def read_exports(image: StoredImage, tree: Tree) -> Exports:
    """What the image brings below /exports. Raises TemplateError, InvalidSettings."""
    files = {
        name: content
        for name, limit in LIMITS.items()
        if (content := tree.read_file(f"/exports/{name}", limit)) is not None
    }
    return Exports.parse(files, str(image.name))


def _image(image: StoredImage, tree: Tree, store: Store) -> Image:
    accounts = (
        (tree.read_file(path, _ACCOUNTS_LIMIT) or b"").decode("utf-8", "replace")
        for path in _ACCOUNTS
    )
    return Image(
        name=str(image.name),
        digest=image.digest.hex,
        config=image_config.parse(store.config(image)),
        exports=read_exports(image, tree),
        host_entries=tuple(HostEntry(entry.path, _kind(entry)) for entry in tree.walk(HOST_FILES)),
        in_image=tree.exists,
        find_user=find_user(*accounts),
    )


def _kind(entry: TreeEntry) -> EntryKind:
    if entry.is_directory:
        return EntryKind.DIRECTORY
    return EntryKind.FILE if entry.target is None else EntryKind.SYMLINK
