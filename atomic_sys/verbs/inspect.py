# SPDX-License-Identifier: LGPL-2.1-or-later
"""`atomic inspect REF` and `atomic list-tags REPO`: look at an image anywhere, and pull nothing.

As with skopeo, the policy is not asked: nothing of what is looked at is kept or run.
"""

from atomic_sys.engine.pull import require_image
from atomic_sys.errors import Damaged, UsageError, doing
from atomic_sys.frozen import frozen
from atomic_sys.host import Host
from atomic_sys.image.http_response import NetworkError
from atomic_sys.image.origin import Origin, RawManifest
from atomic_sys.image.registry import RegistryOrigin
from atomic_sys.image.resolve import resolve
from atomic_sys.log import warn
from atomic_sys.model import image_config, strict_json
from atomic_sys.model import manifest as documents
from atomic_sys.model.image_config import CONFIG_LIMIT
from atomic_sys.model.manifest import Descriptor, Manifest
from atomic_sys.model.reference import DEFAULT_TAG
from atomic_sys.model.source import (
    DockerArchiveSource,
    DockerDaemonSource,
    RegistrySource,
    Source,
    StoredSource,
)
from atomic_sys.model.stream import TooLarge
from atomic_sys.model.strict_json import Json, as_object
from atomic_sys.store.images import StoredImage
from atomic_sys.verbs.support import locate, parse_image


@frozen
class Inspected:
    """An image of a source: what its name leads to, and the instance for this host.

    `repository` is None for a source that knows no repositories.
    """

    named: RawManifest
    manifest: Manifest
    config: bytes
    repository: str | None
    tags: tuple[str, ...]

    def as_json(self) -> dict[str, object]:
        """skopeo's keys in its order. Raises InvalidJson for a broken config."""
        image_config.parse(self.config)  # so that what is not read below is sound too
        body = as_object(strict_json.loads(self.config, "image config"), "image config")
        process = as_object(body.get("config") or {}, "image config: config")
        labels = process.get("Labels")
        name = {} if self.repository is None else {"Name": self.repository}
        variant = {"Variant": body["variant"]} if body.get("variant") else {}
        return {
            **name,
            "Digest": str(self.named.digest),
            "RepoTags": list(self.tags),
            "Created": body.get("created"),
            "DockerVersion": body.get("docker_version", ""),
            "Labels": dict(sorted(labels.items())) if isinstance(labels, dict) else None,
            "Architecture": body.get("architecture", ""),
            **variant,
            "Os": body.get("os", ""),
            "Layers": [str(layer.digest) for layer in self.manifest.layers],
            "LayersData": [_layer(layer) for layer in self.manifest.layers],
            "Env": process.get("Env"),
        }


def inspect_raw(image: str, host: Host) -> bytes:
    """The manifest or index that the name leads to, as the source has it. Raises AtomicSysError."""
    with doing(f"inspecting {image}"):
        source = parse_image(image)
        if isinstance(source, StoredSource):
            return require_image(host.store, source.name).raw_manifest
        return locate(host, source).origin.manifest(None).raw


def inspect_config(image: str, host: Host) -> bytes:
    """The configuration of the image for this host, as it is stored. Raises AtomicSysError."""
    with doing(f"inspecting {image}"):
        source = parse_image(image)
        if isinstance(source, StoredSource):
            return host.store.config(require_image(host.store, source.name))
        origin = locate(host, source).origin
        return _config(origin, resolve(origin, host.platform).manifest.config)


def inspect(image: str, host: Host, *, tags: bool) -> Inspected:
    """Everything about an image, and the other tags of its repository if they are wanted.

    Raises AtomicSysError; a registry that does not list its tags is worth a warning only.
    """
    with doing(f"inspecting {image}"):
        source = parse_image(image)
        if isinstance(source, StoredSource):
            return _stored(require_image(host.store, source.name), host, tags=tags)
        origin = locate(host, source).origin
        resolved = resolve(origin, host.platform)
        return Inspected(
            named=resolved.index or resolved.raw,
            manifest=resolved.manifest,
            config=_config(origin, resolved.manifest.config),
            repository=_repository(source, origin),
            tags=_tags(origin) if tags else (),
        )


def _stored(image: StoredImage, host: Host, *, tags: bool) -> Inspected:
    """An image of the store; its tags are those that the store has of the repository."""
    manifest = documents.parse(image.raw_manifest)
    if not isinstance(manifest, Manifest):
        raise Damaged(f"image {image.name}: an index where a manifest should be")
    name = image.name.reference.name
    others = [other.name for other in host.store.images()] if tags else []
    return Inspected(
        named=RawManifest(raw=image.raw_manifest, digest=image.digest, content_type=None),
        manifest=manifest,
        config=host.store.config(image),
        repository=name,
        tags=tuple(other.tag for other in others if other.tag and other.reference.name == name),
    )


def list_tags(repository: str, host: Host) -> dict[str, Json]:
    """skopeo's answer: `Repository` and `Tags`. Raises UsageError, AtomicSysError."""
    source = parse_image(repository)
    if not isinstance(source, RegistrySource):
        raise UsageError(f"{repository}: only a repository of a registry has tags to list")
    # A parsed name has a tag in any case.
    if source.name.tag != DEFAULT_TAG or repository.endswith(f":{DEFAULT_TAG}"):
        raise UsageError(f"{repository}: no tag or digest is allowed here")
    origin = RegistryOrigin(host.http, source, host.registries, host.credentials)
    with doing(f"listing the tags of {repository}"):
        return {"Repository": origin.reference.name, "Tags": list(origin.tags())}


def _repository(source: Source, origin: Origin) -> str | None:
    if isinstance(origin, RegistryOrigin):
        return origin.reference.name
    match source:
        case DockerArchiveSource() | DockerDaemonSource() if source.reference is not None:
            return source.reference.name
        case _:
            return None


def _tags(origin: Origin) -> tuple[str, ...]:
    if not isinstance(origin, RegistryOrigin):
        return ()
    try:
        return origin.tags()
    except NetworkError as error:
        warn(str(error))
        return ()


def _config(origin: Origin, descriptor: Descriptor) -> bytes:
    if descriptor.size > CONFIG_LIMIT:
        raise TooLarge(f"image config is larger than the limit of {CONFIG_LIMIT} bytes")
    return b"".join(origin.blob(descriptor))


def _layer(layer: Descriptor) -> dict[str, object]:
    return {
        "MIMEType": layer.media_type,
        "Digest": str(layer.digest),
        "Size": layer.size,
        "Annotations": dict(sorted(layer.annotations.items())) or None,
    }
