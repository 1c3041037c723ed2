# SPDX-License-Identifier: LGPL-2.1-or-later
"""Image manifests and indexes, OCI's and Docker's schema 2, unambiguous or refused.

Sources: image-spec manifest.md and image-index.md. A document that one reader takes for a manifest
and another for an index is refused (CVE-2021-41190), and so are keys that differ from a known one
in case only, which Go's decoder would take for that key.
"""

from collections.abc import Mapping

from atomic_sys.errors import AtomicSysError
from atomic_sys.frozen import frozen
from atomic_sys.model import strict_json
from atomic_sys.model.digest import Digest
from atomic_sys.model.platform import Platform
from atomic_sys.model.strict_json import Json, as_integer, as_object, as_string

OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
MANIFEST_TYPES = (OCI_MANIFEST, DOCKER_MANIFEST)
INDEX_TYPES = (OCI_INDEX, DOCKER_LIST)
ACCEPT = (OCI_MANIFEST, DOCKER_MANIFEST, DOCKER_LIST, OCI_INDEX)

MANIFEST_LIMIT = 4 << 20  # bytes; what containers/image accepts
MAX_SIZE = 1 << 44  # bytes a descriptor may promise: 16 TiB, the largest file of ext4
MAX_ENTRIES = 4096  # layers of a manifest, or manifests of an index

_SHARED = ("schemaVersion", "mediaType")
_MANIFEST_KEYS = (*_SHARED, "config", "layers")
_INDEX_KEYS = (*_SHARED, "manifests")
_ALL_KEYS = ("config", "layers", "manifests", "fsLayers", "history")


class InvalidManifest(AtomicSysError):
    """A manifest or index that is malformed, ambiguous, or of an unsupported kind."""


@frozen
class Descriptor:
    """A promise of content: its type, digest and size in bytes (image-spec descriptor.md)."""

    media_type: str
    digest: Digest
    size: int
    urls: tuple[str, ...] = ()
    platform: Platform | None = None
    annotations: Mapping[str, str]


@frozen
class Manifest:
    """One image: its config blob and its layers, base first."""

    media_type: str
    config: Descriptor
    layers: tuple[Descriptor, ...]


@frozen
class Index:
    """One image for several platforms."""

    media_type: str
    manifests: tuple[Descriptor, ...]

    def choose(self, platform: Platform) -> Descriptor:
        """The entry for a host of this platform; an entry without a platform is the last resort.

        Raises InvalidManifest, naming what there is, when none fits.
        """
        for wish in platform.wishes():
            for entry in self.manifests:
                if entry.platform == wish:
                    return entry
        for entry in self.manifests:
            if entry.platform is None:
                return entry
        offered = ", ".join(sorted({str(entry.platform) for entry in self.manifests})) or "nothing"
        raise InvalidManifest(f"no image for {platform}; there is: {offered}")


def parse(document: bytes, *, content_type: str | None = None) -> Manifest | Index:
    """Read a manifest or an index.

    `content_type` is what the registry said it is, if it said anything. Raises InvalidManifest or
    strict_json.InvalidJson.
    """
    what = "manifest"
    body = as_object(strict_json.loads(document, what), what)
    if body.get("schemaVersion") == 1 or "fsLayers" in body:
        raise InvalidManifest(
            "Docker manifest schema 1 is not supported",
            hint="push the image again with a current client",
        )
    if as_integer(body.get("schemaVersion"), "schemaVersion") != 2:
        raise InvalidManifest(f"manifest of unknown schemaVersion {body.get('schemaVersion')!r}")
    media_type = _media_type(body, content_type)
    if media_type in INDEX_TYPES:
        _check_keys(body, _INDEX_KEYS)
        entries = _descriptors(body, "manifests")
        return Index(media_type=media_type, manifests=entries)
    _check_keys(body, _MANIFEST_KEYS)
    config = _descriptor(body.get("config"), "config")
    return Manifest(media_type=media_type, config=config, layers=_descriptors(body, "layers"))


def _media_type(body: Mapping[str, Json], content_type: str | None) -> str:
    """The type the body claims, else what the server said, else what its keys make it."""
    stated = body.get("mediaType")
    served = (content_type or "").partition(";")[0].strip().lower()
    if stated is None:
        if served in (*MANIFEST_TYPES, *INDEX_TYPES):
            stated = served
        else:
            stated = OCI_INDEX if "manifests" in body else OCI_MANIFEST
    media_type = as_string(stated, "mediaType")
    if media_type not in (*MANIFEST_TYPES, *INDEX_TYPES):
        raise InvalidManifest(f"manifest of unsupported type {media_type!r}")
    if served in (*MANIFEST_TYPES, *INDEX_TYPES) and served != media_type:
        raise InvalidManifest(f"manifest says it is {media_type!r}, the server says {served!r}")
    return media_type


def _check_keys(body: Mapping[str, Json], own: tuple[str, ...]) -> None:
    for key in _ALL_KEYS:
        if key in body and key not in own:
            raise InvalidManifest(f"ambiguous manifest: {own[-1]!r} and {key!r} in one document")
    known = {key.lower(): key for key in (*own, *_ALL_KEYS)}
    for key in body:
        if known.get(key.lower(), key) != key:
            raise InvalidManifest(f"ambiguous manifest: key {key!r}")


def _descriptors(body: Mapping[str, Json], key: str) -> tuple[Descriptor, ...]:
    entries = strict_json.as_array(body.get(key), key)
    if len(entries) > MAX_ENTRIES:
        raise InvalidManifest(f"more than {MAX_ENTRIES} {key}")
    return tuple(_descriptor(entry, f"{key}[{i}]") for i, entry in enumerate(entries))


def _descriptor(value: Json, what: str) -> Descriptor:
    body = as_object(value, what)
    known = {key.lower(): key for key in ("mediaType", "digest", "size", "urls", "platform")}
    for key in body:
        if known.get(key.lower(), key) != key:
            raise InvalidManifest(f"ambiguous manifest: key {key!r} in {what}")
    size = as_integer(body.get("size"), f"{what}.size")
    if not 0 <= size <= MAX_SIZE:
        raise InvalidManifest(f"{what} has the impossible size {size}")
    platform = body.get("platform")
    return Descriptor(
        media_type=as_string(body.get("mediaType"), f"{what}.mediaType"),
        digest=Digest.parse(as_string(body.get("digest"), f"{what}.digest")),
        size=size,
        urls=strict_json.as_strings(body.get("urls"), f"{what}.urls"),
        platform=None if platform is None else _platform(platform, f"{what}.platform"),
        annotations=strict_json.as_string_map(body.get("annotations"), f"{what}.annotations"),
    )


def _platform(value: Json, what: str) -> Platform:
    body = as_object(value, what)
    return Platform(
        os=as_string(body.get("os", ""), f"{what}.os"),
        architecture=as_string(body.get("architecture", ""), f"{what}.architecture"),
        variant=as_string(body.get("variant", ""), f"{what}.variant"),
    )
