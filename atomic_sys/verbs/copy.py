# SPDX-License-Identifier: LGPL-2.1-or-later
"""`atomic copy SOURCE DESTINATION` and `atomic push IMAGE [DESTINATION]`."""

import os
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice

from atomic_sys.engine import copy as engine
from atomic_sys.engine import pull, sources
from atomic_sys.engine.copy import Copied, Copy, Extent, Signatures
from atomic_sys.engine.destinations import Outside, same_place
from atomic_sys.engine.judge import Judge, from_store
from atomic_sys.engine.pull import ImageAt, require_image
from atomic_sys.engine.report import Report
from atomic_sys.engine.stored_origin import StoredOrigin
from atomic_sys.errors import AtomicSysError, NotFound, UsageError, doing
from atomic_sys.frozen import frozen
from atomic_sys.host import Host
from atomic_sys.image.resolve import expand, fetch
from atomic_sys.model import manifest as documents
from atomic_sys.model.digest import Digest
from atomic_sys.model.reference import DockerReference
from atomic_sys.model.source import RegistrySource, Source, StoredSource
from atomic_sys.model.target import parse_target
from atomic_sys.store.images import StoredImage
from atomic_sys.verbs.support import locate, make_judge, parse_image

_MOST_MOUNTS = 4  # repositories that are asked for one blob


@frozen
class CopyOptions:
    """What of an image is copied, and which registry need not prove who it is.

    `anonymous` sends no credentials to the destination.
    """

    extent: Extent = Extent.SYSTEM
    signatures: Signatures = Signatures.KEEP
    insecure_source: bool = False
    insecure_destination: bool = False
    anonymous: bool = False


def push(
    image: str, destination: str | None, options: CopyOptions, host: Host, report: Report
) -> Copied:
    """Copy an image of the store to its own name in the registry, or elsewhere.

    All of it is the index that the image was chosen from, which only its source has. Raises
    UsageError where it has no full name, NotFound, AtomicSysError.
    """
    with doing(f"pushing {image}"):
        stored = _find(host, image.removeprefix("ostree:"))
        whole = options.extent is Extent.ALL
        source = _index_of(stored, host) if whole else StoredSource(name=stored.name)
        target = _own_name(stored) if destination is None else _parse(destination)
        return _copy(source, target, options, host, report)


def copy(source: str, destination: str, options: CopyOptions, host: Host, report: Report) -> Copied:
    """Copy an image from anywhere to anywhere. Raises AtomicSysError."""
    with doing(f"copying {source} to {destination}"):
        return _copy(parse_image(source), _parse(destination), options, host, report)


def _copy(
    source: Source, target: Source, options: CopyOptions, host: Host, report: Report
) -> Copied:
    if same_place(source, target):
        raise UsageError(f"{source} cannot be copied to itself")
    source = _without_tls(source) if options.insecure_source else source
    target = _without_tls(target) if options.insecure_destination else target
    judge = make_judge(host)
    wanted = _wanted(source, options, host, judge)
    if isinstance(target, StoredSource):
        return _into_store(source, target, wanted, host, report)
    outside = Outside(
        http=host.http,
        registries=host.registries,
        credentials=None if options.anonymous else host.destination_credentials,
        lookaside=host.lookaside,
        docker_host=host.environment.get("DOCKER_HOST"),
        known=lambda digest: islice(_repositories(source, digest, host), _MOST_MOUNTS),
    )
    return engine.copy(wanted, lambda types: outside.open(target, types), judge, report)


def _wanted(source: Source, options: CopyOptions, host: Host, judge: Judge) -> Copy:
    if isinstance(source, StoredSource):
        image = require_image(host.store, source.name)
        signatures = from_store(host.store.signatures(image))
        at = _stored(image, host)
        return Copy(
            at=at,
            signatures=lambda _digest: signatures,
            extent=options.extent,
            platform=host.platform,
            keep=options.signatures,
        )
    at = locate(host, source)
    return Copy(
        at=at,
        signatures=lambda digest: judge.signatures(at.place, digest, at.origin),
        extent=options.extent,
        platform=host.platform,
        keep=options.signatures,
    )


def _index_of(image: StoredImage, host: Host) -> Source:
    """Where the index is that the image was chosen from, if it still has this very image.

    Raises AtomicSysError.
    """
    source = sources.stored_source(image)
    origin = locate(host, source).origin
    if image.digest not in {document.raw.digest for document in expand(origin, fetch(origin))}:
        raise AtomicSysError(
            f"{origin.description} has no image {image.digest} any more",
            hint=f"atomic pull {image.name}, or push without --all",
        )
    return source


def _stored(image: StoredImage, host: Host) -> ImageAt:
    """An image of the store, whose layers come from where it was pulled."""
    identity = sources.stored_identity(image)
    origin = StoredOrigin(
        store=host.store,
        image=image,
        layer=lambda layer: locate(host, sources.stored_source(image)).origin.blob(layer),
    )
    return ImageAt(
        name=image.name,
        source=image.source or f"docker://{identity.reference}",
        origin=origin,
        identity=identity,
        place=identity,
    )


def _into_store(
    source: Source, target: StoredSource, wanted: Copy, host: Host, report: Report
) -> Copied:
    """Pull under another name; an image that is in the store gets one more name."""
    if wanted.extent is not Extent.SYSTEM:
        raise UsageError(f"{target}: the store holds the image for one platform, and no index")
    if wanted.keep is Signatures.REMOVE:
        raise UsageError(f"{target}: the store keeps signatures, to judge the image again")
    judge, store = make_judge(host), host.store
    if isinstance(source, StoredSource):
        image = require_image(store, source.name)
        verdict = pull.judge_again(image, wanted.at.identity, judge, store)
        store.tag_image(image, target.name)
    else:
        at = replace(wanted.at, name=target.name)
        pulled = pull.pull(at, host.platform, store, judge, report)
        image, verdict = pulled.image, pulled.verdict
    return Copied(
        digest=image.digest,
        media_type=documents.parse(image.raw_manifest).media_type,
        verdicts=((image.digest, verdict),),
        blobs=0,
        signatures=image.signature_count,
    )


def _find(host: Host, text: str) -> StoredImage:
    """The image of this name, or with this id. Raises NotFound, UsageError for several."""
    found = host.store.find(text)
    if not found:
        raise NotFound(f"Unable to find the image {text} in the store", hint=f"atomic pull {text}")
    if len({image.digest for image in found}) > 1:
        raise UsageError(f"{text}: {len(found)} images have such an id")
    return found[0]


def _own_name(image: StoredImage) -> RegistrySource:
    """The name of the image as the place to push it to. Raises UsageError for a short name."""
    reference = image.name.reference
    if image.name.value.partition("/")[0] != reference.domain:
        raise UsageError(
            f"{image.name} has no registry in its name",
            hint=f"say where to push it: atomic push {image.name} HOST/{image.name}",
        )
    return RegistrySource(name=image.name)


def _parse(destination: str) -> Source:
    return parse_target(destination, is_directory=os.path.isdir)


def _without_tls(place: Source) -> Source:
    return replace(place, plain_http=True) if isinstance(place, RegistrySource) else place


def _repositories(source: Source, digest: Digest, host: Host) -> Iterator[DockerReference]:
    """Where in registries the blob is known to be. Nothing is asked, and no store is made."""
    if isinstance(source, RegistrySource):
        yield source.reference
    if not isinstance(source, StoredSource):
        return
    for image in host.store.images():
        if digest in image.layers or digest == image.config_digest:
            try:
                place = sources.stored_source(image)
            except AtomicSysError:
                continue  # a record that is damaged is of no help
            if isinstance(place, RegistrySource):
                yield place.reference
