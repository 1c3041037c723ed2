# SPDX-License-Identifier: LGPL-2.1-or-later
"""The image of a container, judged: from the store, or from where it comes."""

from collections.abc import Callable
from typing import TypeAlias

from atomic_sys import log
from atomic_sys.engine.judge import Judge
from atomic_sys.engine.outline import outline
from atomic_sys.engine.pull import ImageAt, Pulled, judge_again, pull, require_image
from atomic_sys.engine.report import Report
from atomic_sys.engine.sources import stored_identity
from atomic_sys.host import Host
from atomic_sys.model.digest import Digest
from atomic_sys.model.platform import Platform
from atomic_sys.model.record import Record
from atomic_sys.model.source import RegistrySource, Source, StoredSource
from atomic_sys.store.images import StoredImage
from atomic_sys.store.outlines import Outlines
from atomic_sys.store.store import Store
from atomic_sys.verbs.support import locate, make_judge, parse_image

Fetch: TypeAlias = Callable[[ImageAt, Platform, Store, Judge, Report], Pulled]


def fetch_for(rootfs: str | None) -> Fetch:
    """How to get an image: whole, or where its files are elsewhere, what those must be."""
    return pull if rootfs is None else outline


def find_image(
    source: Source, typed: str, host: Host, report: Report, fetch: Fetch = pull
) -> Pulled:
    """The image, judged: from the store when it is there under the name that was asked for.

    Raises NotFound, Rejected, AtomicSysError.
    """
    store = host.store
    if isinstance(source, StoredSource):
        image = require_image(store, source.name)
    elif isinstance(source, RegistrySource) and (found := store.image(source.name)) is not None:
        image = found
        if any(not store.has_layer(layer) for layer in image.layers):
            return fetch(locate(host, source), host.platform, store, make_judge(host), report)
    else:
        return fetch(locate(host, source), host.platform, store, make_judge(host), report)
    log.debug(f"{typed} is in the store")
    return _judged(image, host)


def latest_image(record: Record, rebase: str | None, host: Host, report: Report) -> Pulled:
    """The image that a container's source has now, judged. Raises as find_image() does."""
    source = parse_image(rebase or record.source or record.image)
    if isinstance(source, StoredSource):
        return _judged(require_image(host.store, source.name), host)
    fetch = fetch_for(record.remote)
    return fetch(locate(host, source), host.platform, host.store, make_judge(host), report)


def kept_image(record: Record, rebase: str | None, host: Host, report: Report) -> Pulled:
    """The same without asking the source, unless it is a new one. Raises as find_image() does."""
    source = parse_image(rebase or record.source or record.image)
    if not isinstance(source, StoredSource) and host.store.image(source.name) is None:
        if rebase is not None:
            return latest_image(record, rebase, host, report)
        if (outlined := _outlined(record, host.store)) is not None:
            return _judged(outlined, host)
    return _judged(require_image(host.store, source.name), host)


def _outlined(record: Record, store: Store) -> StoredImage | None:
    if record.remote is None:
        return None
    return Outlines(store).image(Digest.parse(f"sha256:{record.revision}"))


def _judged(image: StoredImage, host: Host) -> Pulled:
    verdict = judge_again(image, stored_identity(image), make_judge(host), host.store)
    return Pulled(image=image, verdict=verdict, changed=False)
