# SPDX-License-Identifier: LGPL-2.1-or-later
"""Where an image comes from: the transports, in the predecessor's spelling and in skopeo's.

Parsing opens nothing but, for `oci:`, asks through the given function whether a directory is there:
`oci:PATH` is a layout, and where PATH is no directory it is the predecessor's `oci:NAME`, a name in
a registry.
"""

import re
from collections.abc import Callable

from atomic_sys.errors import UsageError
from atomic_sys.frozen import frozen
from atomic_sys.model.digest import HEX_LENGTH, Digest
from atomic_sys.model.reference import DEFAULT_TAG, DockerReference, ImageName, is_tag

_UNFIT = re.compile(r"[^a-z0-9]+")


@frozen
class RegistrySource:
    """An image of a registry; `plain_http` is the legacy `http:` prefix, an explicit consent."""

    name: ImageName
    plain_http: bool = False

    @property
    def reference(self) -> DockerReference:
        """The reference that the policy judges: fully qualified, with tag or digest.

        A name with both is pulled by digest; the policy knows no such pair, so the tag goes.
        """
        reference = self.name.reference.with_default_tag()
        if reference.digest is not None:
            return DockerReference(
                domain=reference.domain, path=reference.path, digest=reference.digest
            )
        return reference

    def __str__(self) -> str:
        return f"docker://{self.name}"


@frozen
class LayoutSource:
    """An image of an OCI image layout: a directory with oci-layout, index.json and blobs/."""

    path: str
    tag: str | None

    @property
    def name(self) -> ImageName:
        """The name in the store: the directory's basename and the tag."""
        return _name_of_file(self.path, self.tag)

    def __str__(self) -> str:
        return f"oci:{self.path}" + ("" if self.tag is None else f":{self.tag}")


@frozen
class LayoutArchiveSource:
    """An image of an OCI image layout in a tar archive."""

    path: str
    tag: str | None

    @property
    def name(self) -> ImageName:
        """The name in the store: the file's, less its suffix, and the tag."""
        return _name_of_file(self.path.removesuffix(".tar"), self.tag)

    def __str__(self) -> str:
        return f"oci-archive:{self.path}" + ("" if self.tag is None else f":{self.tag}")


@frozen
class DockerArchiveSource:
    """An image of a tar archive of `docker save`."""

    path: str
    reference: DockerReference | None

    @property
    def name(self) -> ImageName:
        """The name in the store: the one in the archive where it was given, else the file's."""
        if self.reference is not None:
            return ImageName.parse(str(self.reference))
        return _name_of_file(self.path.removesuffix(".tar"), None)

    def __str__(self) -> str:
        reference = "" if self.reference is None else f":{self.reference}"
        return f"docker-archive:{self.path}{reference}"


@frozen
class DirectorySource:
    """The image of a directory as skopeo's `dir:` writes it: manifest.json, version, blobs."""

    path: str

    @property
    def name(self) -> ImageName:
        """The name in the store: the directory's."""
        return _name_of_file(self.path, None)

    def __str__(self) -> str:
        return f"dir:{self.path}"


@frozen
class DockerDaemonSource:
    """An image of the Docker engine on this host: by its name, or by its id."""

    reference: DockerReference | None
    image_id: Digest | None = None

    @property
    def asked(self) -> str:
        """What to ask the engine for."""
        return str(self.image_id if self.reference is None else self.reference)

    @property
    def name(self) -> ImageName:
        """The name in the store; an image by its id is called by the beginning of that."""
        if self.reference is not None:
            return ImageName.parse(str(self.reference))
        return _name_of_file("" if self.image_id is None else self.image_id.hex[:12], None)

    def __str__(self) -> str:
        return f"docker-daemon:{self.asked}"


@frozen
class StoredSource:
    """An image that is in the store already; it is never pulled."""

    name: ImageName

    def __str__(self) -> str:
        return f"ostree:{self.name}"


FileSource = LayoutSource | LayoutArchiveSource | DockerArchiveSource | DirectorySource
Source = RegistrySource | FileSource | DockerDaemonSource | StoredSource


def parse_source(text: str, *, is_directory: Callable[[str], bool]) -> Source:
    """Read an image argument.

    `[docker://]NAME[:TAG][@DIGEST]`, `oci:PATH[:TAG]`, `oci-archive:FILE[:TAG]`, `dir:PATH`,
    `docker-archive:FILE[:NAME]`, `dockertar:FILE`, `docker-daemon:NAME[:TAG]`,
    `docker-daemon:sha256:HEX`, `ostree:NAME`, `http:NAME`, `https:NAME`, and the predecessor's
    `docker:NAME:TAG`, which is the engine's image; with one colon it is a registry's `docker:TAG`.
    The FILE of an archive ends at its first colon, as skopeo has it.
    Raises UsageError for what is none of these.
    """
    if not text or not text.isprintable():
        raise UsageError(f"invalid image name {text!r}")
    transport, colon, rest = text.partition(":")
    if colon and (file := _file_source(transport, rest)) is not None:
        return file
    match transport if colon else "":
        case "docker" if rest.startswith("//"):
            return RegistrySource(name=ImageName.parse(rest.removeprefix("//")))
        case "oci":
            return _layout(rest, is_directory) or RegistrySource(name=ImageName.parse(rest))
        case "ostree":
            return StoredSource(name=ImageName.parse(rest))
        case "http":
            return RegistrySource(name=ImageName.parse(rest.removeprefix("//")), plain_http=True)
        case "https":
            return RegistrySource(name=ImageName.parse(rest.removeprefix("//")))
        case "docker-daemon":
            return _docker_daemon(rest)
        case "docker" if ":" in rest:
            return _docker_daemon(rest)
    return RegistrySource(name=ImageName.parse(text))


def _layout(rest: str, is_directory: Callable[[str], bool]) -> LayoutSource | None:
    """The layout that `PATH[:TAG]` names, if there is such a directory."""
    if is_directory(rest):
        return LayoutSource(path=rest, tag=None)
    path, colon, tag = rest.rpartition(":")
    if colon and is_tag(tag) and is_directory(path):
        return LayoutSource(path=path, tag=tag)
    if rest.startswith(("/", "./", "../")):
        raise UsageError(f"oci:{rest}: no such directory")
    return None


def _file_source(transport: str, rest: str) -> FileSource | None:
    """The file or directory, if it is a transport of those; a layout is not looked at here."""
    if transport not in ("oci-archive", "docker-archive", "dockertar", "dir"):
        return None
    if not rest:
        raise UsageError(f"{transport}: a path is missing")
    match transport:
        case "oci-archive":
            return _layout_archive(rest)
        case "docker-archive":
            return _docker_archive(rest)
        case "dockertar":
            return DockerArchiveSource(path=rest, reference=None)
        case _:
            return DirectorySource(path=rest)


def _docker_daemon(rest: str) -> DockerDaemonSource:
    algorithm, _, digits = rest.partition(":")
    if algorithm in HEX_LENGTH and len(digits) == HEX_LENGTH[algorithm]:
        return DockerDaemonSource(reference=None, image_id=Digest.parse(rest))
    reference = DockerReference.parse(rest).with_default_tag()
    if reference.digest is not None:
        raise UsageError(
            f"docker-daemon:{rest}: the engine gives images by name and tag, or by id",
            hint="docker-daemon:NAME:TAG, or docker-daemon:sha256:ID",
        )
    return DockerDaemonSource(reference=reference)


def _layout_archive(rest: str) -> LayoutArchiveSource:
    path, colon, tag = rest.partition(":")
    if not path or (colon and not is_tag(tag)):
        raise UsageError(f"oci-archive:{rest}: it is oci-archive:FILE[:TAG]")
    return LayoutArchiveSource(path=path, tag=tag if colon else None)


def _docker_archive(rest: str) -> DockerArchiveSource:
    path, colon, name = rest.partition(":")
    if not path or "@" in name:
        raise UsageError(f"docker-archive:{rest}: it is docker-archive:FILE[:NAME[:TAG]]")
    reference = DockerReference.parse(name).with_default_tag() if colon else None
    return DockerArchiveSource(path=path, reference=reference)


def _name_of_file(path: str, tag: str | None) -> ImageName:
    """The last part of the path, made fit for a name, and the tag."""
    base = path.rstrip("/").rpartition("/")[2]
    fit = _UNFIT.sub("-", base.lower()).strip("-") or "image"
    return ImageName.parse(f"{fit}:{tag or DEFAULT_TAG}")
