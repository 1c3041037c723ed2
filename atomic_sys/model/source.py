# SPDX-License-Identifier: LGPL-2.1-or-later
"""Where an image comes from: the transports, in the predecessor's spelling and in skopeo's.

Parsing opens nothing but, for `oci:`, asks through the given function whether a directory is there:
`oci:PATH` is a layout, and where PATH is no directory it is the predecessor's `oci:NAME`, a name in
a registry.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

from atomic_sys.errors import UsageError
from atomic_sys.model.reference import DEFAULT_TAG, DockerReference, ImageName, is_tag

_LATER = ("docker-archive", "docker-daemon", "oci-archive", "dir", "docker", "dockertar")
_UNFIT = re.compile(r"[^a-z0-9]+")


@dataclass(frozen=True, slots=True, kw_only=True)
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


@dataclass(frozen=True, slots=True, kw_only=True)
class LayoutSource:
    """An image of an OCI image layout: a directory with oci-layout, index.json and blobs/."""

    path: str
    tag: str | None

    @property
    def name(self) -> ImageName:
        """The name in the store: the directory's basename and the tag."""
        base = self.path.rstrip("/").rpartition("/")[2]
        fit = _UNFIT.sub("-", base.lower()).strip("-") or "image"
        return ImageName.parse(f"{fit}:{self.tag or DEFAULT_TAG}")

    def __str__(self) -> str:
        return f"oci:{self.path}" + ("" if self.tag is None else f":{self.tag}")


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredSource:
    """An image that is in the store already; it is never pulled."""

    name: ImageName

    def __str__(self) -> str:
        return f"ostree:{self.name}"


Source = RegistrySource | LayoutSource | StoredSource


def parse_source(text: str, *, is_directory: Callable[[str], bool]) -> Source:
    """Read an image argument.

    `[docker://]NAME[:TAG][@DIGEST]`, `oci:PATH[:TAG]`, `ostree:NAME`, `http:NAME`, `https:NAME`.
    Raises UsageError for what is none of these.
    """
    if not text or not text.isprintable():
        raise UsageError(f"invalid image name {text!r}")
    transport, colon, rest = text.partition(":")
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
        case later if later in _LATER and not (later == "docker" and ":" not in rest):
            raise UsageError(
                f"{text!r}: the transport {later}: is not supported",
                hint="copy it first: skopeo copy SOURCE oci:DIRECTORY:TAG",
            )
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
