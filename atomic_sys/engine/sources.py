# SPDX-License-Identifier: LGPL-2.1-or-later
"""From an image argument to its origin and its identity before the policy."""

import os
from dataclasses import replace
from typing import TYPE_CHECKING, assert_never

from atomic_sys.engine.pull import ImageAt
from atomic_sys.errors import UsageError
from atomic_sys.model.source import (
    DirectorySource,
    DockerArchiveSource,
    DockerDaemonSource,
    FileSource,
    LayoutArchiveSource,
    LayoutSource,
    RegistrySource,
    Source,
    StoredSource,
    parse_source,
)
from atomic_sys.store.images import StoredImage
from atomic_sys.trust.scopes import ImageIdentity, docker_identity, nameless_identity, path_identity

if TYPE_CHECKING:  # each transport is loaded where it is used
    from atomic_sys.image.credentials import CredentialLookup
    from atomic_sys.image.http import Http
    from atomic_sys.image.origin import Origin
    from atomic_sys.image.registries_conf import Registries


def locate(
    source: Source,
    http: "Http",
    registries: "Registries",
    credentials: "CredentialLookup | None" = None,
    docker_host: str | None = None,
) -> ImageAt:
    """The image and the way to it; nothing is fetched. `docker_host` is $DOCKER_HOST.

    Raises UsageError for an image that only the store has, InvalidRegistries for a blocked one.
    """
    match source:
        case RegistrySource():
            from atomic_sys.image.registry import RegistryOrigin

            origin = RegistryOrigin(http, source, registries, credentials)
            transport = "http:" if source.plain_http else "docker://"
            return ImageAt(
                name=source.name,
                source=f"{transport}{origin.reference}",
                origin=origin,
                identity=docker_identity(origin.reference),
                place=docker_identity(origin.place),
            )
        case LayoutSource() | LayoutArchiveSource() | DockerArchiveSource() | DirectorySource():
            return _locate_file(source)
        case DockerDaemonSource():
            from atomic_sys.image.docker_daemon import DockerDaemonOrigin
            from atomic_sys.image.docker_engine import DockerEngine, socket_path

            return ImageAt(
                name=source.name,
                source=str(source),
                origin=DockerDaemonOrigin(source, DockerEngine(socket_path(docker_host))),
                identity=_daemon_identity(source),
                place=nameless_identity("docker-daemon"),  # the engine keeps no signatures
            )
        case StoredSource():
            raise UsageError(f"{source}: it is in the store, and cannot be pulled from there")
        case _:
            assert_never(source)


def _daemon_identity(source: DockerDaemonSource) -> ImageIdentity:
    """Scopes are as for a registry; an image by its id has no name that a policy could know."""
    if source.reference is None:
        return nameless_identity("docker-daemon")
    return replace(docker_identity(source.reference), transport="docker-daemon")


def _locate_file(source: FileSource) -> ImageAt:
    """What the path leads to is what is judged, what is opened, and what an update will ask."""
    real = replace(source, path=os.path.realpath(source.path))
    if ":" in real.path and not isinstance(real, DirectorySource | LayoutSource):
        raise UsageError(f"{real.path}: the path of an archive cannot have a colon in it")
    origin: Origin
    match real:
        case LayoutSource():
            from atomic_sys.image.layout import LayoutOrigin

            origin = LayoutOrigin(real)
            identity = path_identity("oci", real.path)
        case LayoutArchiveSource():
            from atomic_sys.image.layout import LayoutOrigin

            origin = LayoutOrigin(real)
            identity = path_identity("oci-archive", real.path)
        case DirectorySource():
            from atomic_sys.image.dir_image import DirectoryOrigin

            origin = DirectoryOrigin(real)
            identity = path_identity("dir", real.path)
        case DockerArchiveSource():
            from atomic_sys.image.docker_archive import DockerArchiveOrigin

            origin = DockerArchiveOrigin(real)
            identity = nameless_identity("docker-archive")
        case _:
            assert_never(real)
    return ImageAt(
        name=source.name, source=str(real), origin=origin, identity=identity, place=identity
    )


def stored_source(image: StoredImage) -> Source:
    """Where an image of the store came from; one of the predecessor's came from a registry.

    Raises UsageError.
    """
    source = image.source or ""
    if source.startswith("oci:"):
        path, tag = source.removeprefix("oci:"), image.name.tag
        if path.endswith(f":{tag}"):
            return LayoutSource(path=path.removesuffix(f":{tag}"), tag=tag)
        return LayoutSource(path=path, tag=None)
    if source:
        return parse_source(source, is_directory=lambda _path: False)
    return RegistrySource(name=image.name)


def stored_identity(image: StoredImage) -> ImageIdentity:
    """How the policy names an image of the store: as what it was pulled as. Raises UsageError."""
    match stored_source(image):
        case RegistrySource() as source:
            return docker_identity(source.reference)
        case LayoutSource() as source:
            return path_identity("oci", source.path)
        case LayoutArchiveSource() as source:
            return path_identity("oci-archive", source.path)
        case DirectorySource() as source:
            return path_identity("dir", source.path)
        case DockerArchiveSource():
            return nameless_identity("docker-archive")
        case DockerDaemonSource() as source:
            return _daemon_identity(source)
        case StoredSource():  # a source that no record has
            return docker_identity(RegistrySource(name=image.name).reference)
        case unknown:
            assert_never(unknown)
