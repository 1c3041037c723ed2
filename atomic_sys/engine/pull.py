# SPDX-License-Identifier: LGPL-2.1-or-later
"""Pull an image: fetch its manifest once, judge those bytes, import those layers, name it last."""

import errno
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from atomic_sys import log
from atomic_sys.engine.judge import Judge, from_store, stored_form
from atomic_sys.engine.report import Report
from atomic_sys.errors import Damaged, NotFound
from atomic_sys.image.origin import Origin
from atomic_sys.image.resolve import ResolvedImage, resolve
from atomic_sys.model import image_config
from atomic_sys.model.digest import Digest
from atomic_sys.model.image_config import CONFIG_LIMIT, ImageConfig
from atomic_sys.model.limits import DEFAULT_LIMITS, LayerLimits
from atomic_sys.model.manifest import Descriptor, InvalidManifest
from atomic_sys.model.platform import Platform
from atomic_sys.model.reference import ImageName
from atomic_sys.model.stream import TooLarge
from atomic_sys.store import space
from atomic_sys.store.images import ImageToStore, StoredImage
from atomic_sys.store.space import NoSpace
from atomic_sys.store.store import Store
from atomic_sys.trust.scopes import ImageIdentity
from atomic_sys.trust.verdict import Verdict

if TYPE_CHECKING:  # needed only where there is something to fetch
    from atomic_sys.engine.layers import WantedLayer


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageAt:
    """An image and the way to it.

    `name` is what the store will call it, `source` what an update will ask, `identity` how the
    policy names it, and `place` the name under which its signatures are looked up. `limits` are
    those of each of its layers.
    """

    name: ImageName
    source: str
    origin: Origin
    identity: ImageIdentity
    place: ImageIdentity
    limits: LayerLimits = DEFAULT_LIMITS


@dataclass(frozen=True, slots=True, kw_only=True)
class Pulled:
    """An image that is in the store and was accepted; `changed` says whether it was not before."""

    image: StoredImage
    verdict: Verdict
    changed: bool


def pull(at: ImageAt, platform: Platform, store: Store, judge: Judge, report: Report) -> Pulled:
    """Bring the image into the store.

    Raises Rejected before a layer byte is fetched when the policy does not accept it, and
    AtomicSysError for whatever else goes wrong; then no name in the store has changed.
    """
    try:
        with store.in_use():  # or a prune might take a layer that is here, but not named yet
            return _pull(at, platform, store, judge, report)
    except NoSpace:
        space.give_back(store.repository)
        raise
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        space.give_back(store.repository)
        raise NoSpace(f"the store's file system is full: {error.strerror}") from error


def _pull(at: ImageAt, platform: Platform, store: Store, judge: Judge, report: Report) -> Pulled:
    resolved = resolve(at.origin, platform)
    digest = resolved.raw.digest
    signatures = judge.signatures(at.place, digest, at.origin)
    named = str(at.name) if at.identity.transport == "docker" else at.source
    verdict = judge.demand(named, at.identity, digest, signatures)
    stored = _readable(at.name, store)
    if stored is not None and _is_same(stored, digest, store, stored_form(signatures)):
        return Pulled(image=stored, verdict=verdict, changed=False)
    # Here for the reason above.
    from atomic_sys.engine.layers import import_layers

    raw_config = fetch_config(at.origin, resolved.manifest.config)
    wanted = _wanted(resolved, image_config.parse(raw_config), store, at.limits)
    space.require(
        store.repository, sum(one.descriptor.size for one in wanted)
    )  # packed: it takes more
    import_layers(wanted, at.origin, store, report)
    image = store.put_image(
        ImageToStore(
            name=at.name,
            source=at.source,
            verdict=json.dumps(verdict.as_json(str(at.name))),
            raw_manifest=resolved.raw.raw,
            digest=digest,
            signatures=stored_form(signatures),
            config=raw_config,
            config_digest=resolved.manifest.config.digest,
            layers=tuple(layer.digest for layer in resolved.manifest.layers),
        )
    )
    return Pulled(image=image, verdict=verdict, changed=True)


def judge_again(image: StoredImage, identity: ImageIdentity, judge: Judge, store: Store) -> Verdict:
    """Judge an image of the store by today's policy and its stored signatures. Raises Rejected."""
    signatures = from_store(store.signatures(image))
    named = str(image.name) if identity.transport == "docker" else f"ostree:{image.name}"
    return judge.demand(named, identity, image.digest, signatures)


def require_image(store: Store, name: ImageName) -> StoredImage:
    """The image of this name in the store. Raises NotFound."""
    image = store.image(name)
    if image is None:
        raise NotFound(f"Unable to find the image {name}", hint=f"atomic pull {name}")
    return image


def _readable(name: ImageName, store: Store) -> StoredImage | None:
    """The image of this name; one that is damaged is as good as not there, and pulled again."""
    try:
        return store.image(name)
    except Damaged as error:
        log.warn(str(error))
        return None


def _is_same(
    stored: StoredImage, digest: Digest, store: Store, signatures: tuple[bytes, ...]
) -> bool:
    return (
        stored.digest == digest
        and all(store.has_layer(layer) for layer in stored.layers)
        and store.signatures(stored) == signatures
    )


def fetch_config(origin: Origin, descriptor: Descriptor) -> bytes:
    """The image configuration, verified. Raises TooLarge, AtomicSysError."""
    if descriptor.size > CONFIG_LIMIT:
        raise TooLarge(f"image config is larger than the limit of {CONFIG_LIMIT} bytes")
    return b"".join(origin.blob(descriptor))


def _wanted(
    resolved: ResolvedImage, config: ImageConfig, store: Store, limits: LayerLimits
) -> "tuple[WantedLayer, ...]":
    """The layers that the store lacks, each once."""
    # Here for the reason above.
    from atomic_sys.engine.layers import WantedLayer

    layers, diff_ids = resolved.manifest.layers, config.diff_ids
    if len(layers) != len(diff_ids):
        raise InvalidManifest(f"{len(layers)} layers, but {len(diff_ids)} diff ids in the config")
    wanted = {
        layer.digest: WantedLayer(descriptor=layer, diff_id=diff_id, limits=limits)
        for layer, diff_id in zip(layers, diff_ids, strict=True)
        if not store.has_layer(layer.digest)
    }
    return tuple(wanted.values())
