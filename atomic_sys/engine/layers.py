# SPDX-License-Identifier: LGPL-2.1-or-later
"""Fetch and import layers, several at once: the first failure stops all of them."""

import threading
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass

from atomic_sys import log
from atomic_sys.engine.report import Report
from atomic_sys.errors import AtomicSysError, doing
from atomic_sys.image.layer import read_layer
from atomic_sys.image.origin import Origin
from atomic_sys.model.digest import Digest
from atomic_sys.model.manifest import Descriptor
from atomic_sys.store.images import LayerImport
from atomic_sys.store.skeleton import recording
from atomic_sys.store.store import Store

PARALLEL = 6  # transfers at once, as containers/image has it


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedLayer:
    """A layer that is not in the store yet, and the digest that it must have when unpacked."""

    descriptor: Descriptor
    diff_id: Digest


class _Stopped(AtomicSysError):
    """Another layer failed; this one is of no use any more."""


def import_layers(
    wanted: Sequence[WantedLayer], origin: Origin, store: Store, report: Report
) -> None:
    """Fetch the layers and import each into the store.

    Raises the first error of any of them; what the others had begun is dropped. A layer that was
    complete by then stays in the store, for the next attempt.
    """
    stop = threading.Event()

    def fetch(layer: WantedLayer) -> None:
        with (
            doing(f"fetching layer {layer.descriptor.digest}"),
            report.transfer(layer.descriptor) as advance,
            recording(store.repository) as skeleton,
        ):
            chunks = _counted(origin.blob(layer.descriptor), advance, stop)
            stream = read_layer(chunks, diff_id=layer.diff_id, recorder=skeleton)
            job = LayerImport(
                digest=layer.descriptor.digest,
                diff_id=layer.diff_id,
                compressed_size=layer.descriptor.size,
            )
            done = store.import_layer(job, stream, skeleton)
        for path in done.left_out:
            log.warn(f"layer {layer.descriptor.digest}: left out {path}")

    for layer in wanted:
        report.say(f"Copying blob {layer.descriptor.digest}")
        report.say(f"Pulling layer {layer.descriptor.digest}")
    with ThreadPoolExecutor(max(1, min(PARALLEL, len(wanted)))) as pool:
        # The biggest first: it is the one that everything waits for in the end.
        order = sorted(wanted, key=lambda layer: layer.descriptor.size, reverse=True)
        futures = [pool.submit(fetch, layer) for layer in order]
        try:
            wait(futures, return_when=FIRST_EXCEPTION)
        finally:  # also when the user interrupts the wait
            stop.set()
            for future in futures:
                future.cancel()
    errors = [future.exception() for future in futures if not future.cancelled()]
    for error in errors:
        if error is not None and not isinstance(error, _Stopped):
            raise error


def _counted(
    chunks: Generator[bytes, None, None], advance: Callable[[int], None], stop: threading.Event
) -> Generator[bytes, None, None]:
    """The same chunks; whoever closes this closes them."""
    try:
        for chunk in chunks:
            if stop.is_set():
                raise _Stopped("another layer failed")
            advance(len(chunk))
            yield chunk
    finally:
        chunks.close()
