# SPDX-License-Identifier: LGPL-2.1-or-later
"""Containers whose root file system is elsewhere: what install, update and rollback share."""

from dataclasses import replace

from atomic_sys.engine.observe import Installed, read_deployment_file, rootfs_path
from atomic_sys.engine.prepare import Deployment, HostView, prepare
from atomic_sys.engine.remote_rootfs import RemoteFiles, RemoteRootfs, users_of
from atomic_sys.engine.verify import deployed_tree
from atomic_sys.errors import AtomicSysError, UsageError
from atomic_sys.frozen import frozen
from atomic_sys.host import Host
from atomic_sys.render.render import Rendered
from atomic_sys.store.images import StoredImage
from atomic_sys.store.view import Tree


@frozen
class Prepared:
    """The texts of a deployment; `rootfs` is where its files are, if that is elsewhere."""

    rendered: Rendered
    rootfs: str | None


def prepare_anywhere(
    deployment: Deployment, image: StoredImage, tree: Tree, view: HostView, host: Host
) -> Prepared:
    """Render all texts; files that are elsewhere are compared with those of the image.

    Raises what prepare() raises, UsageError for an image that runs nothing, OtherFiles.
    """
    store = host.store
    if deployment.rootfs is None:
        return Prepared(rendered=prepare(deployment, image, tree, store, view), rootfs=None)
    files = RemoteFiles(root=host.root, store=store)
    remote = files.locate(deployment.rootfs, tree)
    what = f"{image.name} ({image.digest})"
    files.require_content(remote, what, tree)
    rendered = prepare(replace(deployment, rootfs=remote.path), image, tree, store, view)
    if rendered.unit is None:
        raise UsageError(f"--rootfs: {image.name} has no service that could run from there")
    files.require_same(remote, what, tree, rendered.config)
    return Prepared(rendered=rendered, rootfs=remote.path)


def require_remote(deployment: Installed, host: Host) -> None:
    """See that the files of a deployment, where they are elsewhere, are still those of its image.

    Raises NotFound, OtherFiles, AtomicSysError, OSError.
    """
    record = deployment.record
    if record is None or record.remote is None:
        return
    tree = deployed_tree(host.store, record)
    config = read_deployment_file(host.root, deployment.deployment, "config.json") or b"{}"
    path = rootfs_path(host.root, deployment)
    files = RemoteFiles(root=host.root, store=host.store)
    remote = RemoteRootfs(asked=record.remote, path=path)
    files.require_same(remote, f"{record.image} (sha256:{record.revision})", tree, config)


def refuse_used(deployment: str, host: Host) -> None:
    """Raises AtomicSysError while another container runs from the files of this deployment."""
    users = users_of(deployment, host.root, host.paths)
    if users:
        raise AtomicSysError(
            f"{deployment} has the root file system of {', '.join(users)}",
            hint=f"uninstall {' and '.join(users)} first",
        )
