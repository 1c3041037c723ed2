# SPDX-License-Identifier: LGPL-2.1-or-later
"""Repair the store: what is damaged or missing is fetched again from where it came, by digest.

An image is judged by today's policy before anything of it is fetched. What cannot be repaired is
left as it is: a damaged object goes only when a whole one can be had.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress

from atomic_sys.engine.judge import Judge, stored_form
from atomic_sys.engine.layers import WantedLayer, import_layers
from atomic_sys.engine.pull import ImageAt, fetch_config
from atomic_sys.engine.report import Report
from atomic_sys.errors import AtomicSysError, Damaged, doing
from atomic_sys.frozen import frozen
from atomic_sys.image.origin import Origin
from atomic_sys.model import image_config
from atomic_sys.model import manifest as documents
from atomic_sys.model.limits import LayerLimits
from atomic_sys.model.manifest import InvalidManifest, Manifest
from atomic_sys.store.fsck import FsckReport
from atomic_sys.store.images import (
    IMAGES,
    OUTLINES,
    REMOTES,
    ROOTFS,
    TARS,
    ImageToStore,
    StoredImage,
    blob_ref,
    image_ref,
    outline_ref,
    remote_ref,
    rootfs_ref,
    tar_ref,
)
from atomic_sys.store.integrity import ObjectName
from atomic_sys.store.outlines import Outlines
from atomic_sys.store.store import Store


@frozen
class Repair:
    """What an image needs: which of its layers, and whether its own commits."""

    image: StoredImage
    refs: frozenset[str]  # the refs of it that are broken or not there
    doomed: frozenset[ObjectName]  # the damaged objects, which would stand in the way
    outlined: bool = False  # whether the content of its files is elsewhere

    @property
    def documents(self) -> bool:
        """Whether its manifest, signatures or config must be stored anew."""
        config = self.image.config_digest
        own = {image_ref(self.image.name)} | (set() if config is None else {blob_ref(config)})
        return not own.isdisjoint(self.refs)


def refs_of(image: StoredImage) -> frozenset[str]:
    """All refs that the image consists of."""
    config = () if image.config_digest is None else (blob_ref(image.config_digest),)
    layers = [ref(layer) for layer in image.layers for ref in (blob_ref, tar_ref)]
    return frozenset((image_ref(image.name), rootfs_ref(image.digest), *layers, *config))


def outline_refs(image: StoredImage) -> frozenset[str]:
    """All refs that an outlined image consists of."""
    config = () if image.config_digest is None else (blob_ref(image.config_digest),)
    layers = map(outline_ref, image.layers)
    return frozenset((remote_ref(image.digest), rootfs_ref(image.digest), *layers, *config))


def plan_repairs(
    report: FsckReport, images: Iterable[StoredImage], outlined: Iterable[StoredImage] = ()
) -> Iterator[Repair]:
    """The images that need a repair, and then the outlined ones. Pure.

    What is below a damaged directory cannot be seen, so whatever is damaged has to go, but for what
    the refs of other programs lead to.
    """
    ours = (IMAGES, ROOTFS, TARS, OUTLINES, REMOTES)
    foreign = [ref.objects for ref in report.broken if not ref.ref.startswith(ours)]
    doomed = report.damaged - frozenset().union(*foreign)
    lost = {*(ref.ref for ref in report.broken), *(ref for _, ref in report.incomplete)}
    for image in images:
        refs = refs_of(image) & lost
        if refs:
            yield Repair(image=image, refs=refs, doomed=doomed)
    for image in outlined:
        refs = outline_refs(image) & lost
        if refs:
            yield Repair(image=image, refs=refs, doomed=doomed, outlined=True)


@frozen
class Repairer:
    """Repairs images; `locate` finds the way to where an image came from."""

    store: Store
    judge: Judge
    report: Report
    locate: Callable[[StoredImage], ImageAt]

    def repair(self, repair: Repair) -> None:
        """Make the image whole.

        Raises Rejected by today's policy, Damaged when the source has another image by now, and
        AtomicSysError for whatever else goes wrong.
        """
        image, store = repair.image, self.store
        with doing(f"repairing {image.name}"):
            at = self.locate(image)
            manifest = _same_image(at, image)
            signatures = self.judge.signatures(at.place, image.digest, at.origin)
            verdict = self.judge.demand(str(image.name), at.identity, image.digest, signatures)
            config = fetch_config(at.origin, manifest.config)
            wanted = _wanted(repair, manifest, config, at.limits)
            store.discard(repair.doomed)
            new = ImageToStore(
                name=image.name,
                source=image.source,
                verdict=json.dumps(verdict.as_json(str(image.name))),
                raw_manifest=image.raw_manifest,
                digest=image.digest,
                signatures=stored_form(signatures),
                config=config,
                config_digest=manifest.config.digest,
                layers=image.layers,
            )
            with store.in_use():
                self._import(repair, new, wanted, at.origin)

    def _import(
        self, repair: Repair, new: ImageToStore, wanted: Sequence[WantedLayer], origin: Origin
    ) -> None:
        if repair.outlined:
            outlines = Outlines(self.store)
            import_layers(wanted, origin, outlines, self.report)
            outlines.put(new)
            return
        import_layers(wanted, origin, self.store, self.report)
        if repair.documents:
            self.store.put_image(new)
        self.store.restore_rootfs(repair.image)


def _same_image(at: ImageAt, image: StoredImage) -> Manifest:
    """The manifest of the stored image, if its source still has exactly that one."""
    if _digest_at_source(at.origin, image) is None:
        raise Damaged(
            f"{at.source} has no image {image.digest} any more",
            hint=f"atomic pull {image.name}, or copy the image back to its source",
        )
    parsed = documents.parse(image.raw_manifest)
    if not isinstance(parsed, Manifest):
        raise InvalidManifest(f"the image {image.name} is an index")
    return parsed


def _digest_at_source(origin: Origin, image: StoredImage) -> bytes | None:
    """The manifest as the source has it: by digest, or by its name where it knows no digests."""
    with suppress(AtomicSysError):
        return origin.manifest(image.digest).raw
    found = origin.manifest(None)  # its error is the one that explains
    return found.raw if found.digest == image.digest else None


def _wanted(
    repair: Repair, manifest: Manifest, config: bytes, limits: LayerLimits
) -> tuple[WantedLayer, ...]:
    diff_ids = image_config.parse(config).diff_ids
    if len(diff_ids) != len(manifest.layers):
        raise InvalidManifest(f"{len(manifest.layers)} layers, but {len(diff_ids)} diff ids")
    wanted = {
        layer.digest: WantedLayer(descriptor=layer, diff_id=diff_id, limits=limits)
        for layer, diff_id in zip(manifest.layers, diff_ids, strict=True)
        if {ref(layer.digest) for ref in (blob_ref, tar_ref, outline_ref)} & repair.refs
    }
    return tuple(wanted.values())
