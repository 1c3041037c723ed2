# SPDX-License-Identifier: LGPL-2.1-or-later
"""Fetch and import layers, several at once: the first failure stops all of them."""

import contextlib
import time
from collections.abc import Callable, Generator, Sequence
from typing import TypeAlias

from atomic_sys import log
from atomic_sys.engine.report import Report
from atomic_sys.errors import doing
from atomic_sys.frozen import frozen
from atomic_sys.fs.write_back import written_back
from atomic_sys.image.layer import read_layer
from atomic_sys.image.origin import Origin
from atomic_sys.model.digest import Digest
from atomic_sys.model.limits import DEFAULT_LIMITS, LayerLimits
from atomic_sys.model.manifest import Descriptor
from atomic_sys.store.adoption import adopt
from atomic_sys.store.images import LayerImport, LayerReport
from atomic_sys.store.outlines import Outlines
from atomic_sys.store.skeleton import recording
from atomic_sys.store.store import Store

# Transfers at once, as containers/image has it. Each has a process, also where there are fewer
# processors: whoever waits for the network needs none, and the others share what there is.
PARALLEL = 6
# The biggest layer comes first, and in the end everything waits for it: where there are fewer
# processors than layers, the others leave it more of them. By sched(7), 5 is a third.
_NICE = 5
_TELL_BYTES = 1 << 20  # a message about progress for so many bytes, or after so many seconds
_TELL_SECONDS = 0.1


@frozen
class WantedLayer:
    """A layer that is not in the store yet, and the digest that it must have when unpacked."""

    descriptor: Descriptor
    diff_id: Digest
    limits: LayerLimits = DEFAULT_LIMITS

    def to_import(self) -> LayerImport:
        """What the store must know of it."""
        return LayerImport(
            digest=self.descriptor.digest,
            diff_id=self.diff_id,
            compressed_size=self.descriptor.size,
        )


Into: TypeAlias = Store | Outlines  # whole, or without the content of the files


def not_adopted(wanted: Sequence[WantedLayer], store: Store) -> Sequence[WantedLayer]:
    """Those that have to be fetched: another image may have brought one, packed in another way."""
    adopted = adopt(store.repository, [layer.to_import() for layer in wanted])
    for digest in sorted(adopted):
        log.debug(f"layer {digest} is in the store under another digest")
    return [layer for layer in wanted if str(layer.descriptor.digest) not in adopted]


def import_layers(
    wanted: Sequence[WantedLayer], origin: Origin, into: Into, report: Report
) -> None:
    """Fetch the layers and import each, more than one in processes of their own.

    Raises the first error of any of them; what the others had begun is dropped. A layer that was
    complete by then stays in the store, for the next attempt.
    """
    for layer in wanted:
        report.say(f"Copying blob {layer.descriptor.digest}")
        report.say(f"Pulling layer {layer.descriptor.digest}")
    if len(wanted) > 1:
        _import_at_once(wanted, origin, into, report)
        return
    for layer in wanted:
        with report.transfer(layer.descriptor) as advance, _writing_back(into):
            _warn(layer, _import(layer, origin, into, advance))


def _import_at_once(
    wanted: Sequence[WantedLayer], origin: Origin, into: Into, report: Report
) -> None:
    # Here since it takes 20 ms, and most pulls fetch one layer or none.
    from atomic_sys.fs.workers import Job, run_all

    def job(place: int, layer: WantedLayer) -> Job[LayerReport]:
        def run(tell: Callable[[int], None]) -> LayerReport:
            # One that syncs is enough, for it syncs what all have written.
            with contextlib.nullcontext() if place else _writing_back(into):
                return _import(layer, origin, into, _rarely(tell))

        return Job(
            run=run,
            telling=report.transfer(layer.descriptor),
            done=lambda done: _warn(layer, done),
            nice=_NICE if place else 0,
        )

    order = sorted(wanted, key=lambda layer: layer.descriptor.size, reverse=True)
    run_all([job(place, layer) for place, layer in enumerate(order)], PARALLEL)


def _writing_back(into: Into) -> contextlib.AbstractContextManager[None]:
    """Syncing on the way, where there is much to sync."""
    return written_back(into.repository.fd) if isinstance(into, Store) else contextlib.nullcontext()


def _import(
    layer: WantedLayer, origin: Origin, into: Into, advance: Callable[[int], None]
) -> LayerReport:
    job = layer.to_import()
    with doing(f"fetching layer {layer.descriptor.digest}"):
        chunks = _counted(origin.blob(layer.descriptor), advance)
        if isinstance(into, Outlines):
            stream = read_layer(chunks, diff_id=layer.diff_id, limits=layer.limits)
            return into.import_layer(job, stream)
        with recording(into.repository) as skeleton:
            stream = read_layer(
                chunks, diff_id=layer.diff_id, limits=layer.limits, recorder=skeleton
            )
            return into.import_layer(job, stream, skeleton)


def _warn(layer: WantedLayer, done: LayerReport) -> None:
    for path in done.left_out:
        log.warn(f"layer {layer.descriptor.digest}: left out {path}")


def _counted(
    chunks: Generator[bytes, None, None], advance: Callable[[int], None]
) -> Generator[bytes, None, None]:
    """The same chunks; whoever closes this closes them."""
    with contextlib.closing(chunks):
        for chunk in chunks:
            advance(len(chunk))
            yield chunk


def _rarely(tell: Callable[[int], None]) -> Callable[[int], None]:
    """The same, with fewer and larger numbers; what is small in the end is not told."""
    pending = 0
    last = time.monotonic()

    def advance(size: int) -> None:
        nonlocal pending, last
        pending += size
        now = time.monotonic()
        if pending >= _TELL_BYTES or now - last >= _TELL_SECONDS:
            tell(pending)
            pending, last = 0, now

    return advance
