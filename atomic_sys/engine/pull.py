# SPDX-License-Identifier: LGPL-2.1-or-later
"""Pull an image: fetch its manifest once, judge those bytes, import those layers, name it last."""

import json
from collections.abc import Callable
from typing import TYPE_CHECKING

from atomic_sys import log
from atomic_sys.engine.judge import Judge, from_store, stored_form
from atomic_sys.engine.report import Report
from atomic_sys.errors import Damaged, NoSpace, NotFound, is_no_space
from atomic_sys.frozen import frozen
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
from atomic_sys.store.store import Store
from atomic_sys.trust.scopes import ImageIdentity
from atomic_sys.trust.verdict import Verdict

if TYPE_CHECKING:  # needed only where there is something to fetch
    from atomic_sys.engine.layers import WantedLayer


@frozen
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


@frozen
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
        if not is_no_space(error):
            raise
        space.give_back(store.repository)
        raise NoSpace(f"the store's file system is full: {error.strerror}") from error


def _pull(at: ImageAt, platform: Platform, store: Store, judge: Judge, report: Report) -> Pulled:
    accepted = accept(at, platform, judge)
    if (stored := stored_image(accepted, store)) is not None:
        return Pulled(image=stored, verdict=accepted.verdict, changed=False)
    # Here for the reason above.
    from atomic_sys.engine.layers import import_layers, not_adopted

    raw_config = fetch_config(at.origin, accepted.resolved.manifest.config)
    lacking = wanted_layers(accepted, image_config.parse(raw_config), store.has_layer)
    wanted = not_adopted(lacking, store)
    space.require(
        store.repository, sum(one.descriptor.size for one in wanted)
    )  # packed: it takes more
    import_layers(wanted, at.origin, store, report)
    image = store.put_image(accepted.to_store(raw_config))
    return Pulled(image=image, verdict=accepted.verdict, changed=True)


@frozen
class Accepted:
    """An image at its source that the policy accepts, with the signatures that were judged."""

    at: ImageAt
    resolved: ResolvedImage
    signatures: tuple[bytes, ...]
    verdict: Verdict

    def to_store(self, config: bytes) -> ImageToStore:
        """The image with its configuration, as the store takes it."""
        manifest = self.resolved.manifest
        return ImageToStore(
            name=self.at.name,
            source=self.at.source,
            verdict=json.dumps(self.verdict.as_json(str(self.at.name))),
            raw_manifest=self.resolved.raw.raw,
            digest=self.resolved.raw.digest,
            signatures=self.signatures,
            config=config,
            config_digest=manifest.config.digest,
            layers=tuple(layer.digest for layer in manifest.layers),
        )


def accept(at: ImageAt, platform: Platform, judge: Judge) -> Accepted:
    """Fetch the manifest and judge it. Raises Rejected, AtomicSysError."""
    resolved = resolve(at.origin, platform)
    digest = resolved.raw.digest
    signatures = judge.signatures(at.place, digest, at.origin)
    named = str(at.name) if at.identity.transport == "docker" else at.source
    verdict = judge.demand(named, at.identity, digest, signatures)
    return Accepted(at=at, resolved=resolved, signatures=stored_form(signatures), verdict=verdict)


def stored_image(accepted: Accepted, store: Store) -> StoredImage | None:
    """The image, where the store has it whole, with these signatures, under its name."""
    stored = _readable(accepted.at.name, store)
    same = stored is not None and _is_same(
        stored, accepted.resolved.raw.digest, store, accepted.signatures
    )
    return stored if same else None


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


def wanted_layers(
    accepted: Accepted, config: ImageConfig, has_layer: Callable[[Digest], bool]
) -> "tuple[WantedLayer, ...]":
    """The layers that are lacking, each once. Raises InvalidManifest."""
    # Here for the reason above.
    from atomic_sys.engine.layers import WantedLayer

    layers, diff_ids = accepted.resolved.manifest.layers, config.diff_ids
    if len(layers) != len(diff_ids):
        raise InvalidManifest(f"{len(layers)} layers, but {len(diff_ids)} diff ids in the config")
    wanted = {
        layer.digest: WantedLayer(descriptor=layer, diff_id=diff_id, limits=accepted.at.limits)
        for layer, diff_id in zip(layers, diff_ids, strict=True)
        if not has_layer(layer.digest)
    }
    return tuple(wanted.values())
