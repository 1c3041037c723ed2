# SPDX-License-Identifier: LGPL-2.1-or-later
"""Blobs from an origin to a destination, several at once: the first failure stops all of them."""

import contextlib
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import field

from atomic_sys.engine.report import Report
from atomic_sys.errors import AtomicSysError, doing
from atomic_sys.frozen import frozen
from atomic_sys.image.destination import Destination
from atomic_sys.image.http_response import NetworkError, Temporary
from atomic_sys.image.origin import Origin
from atomic_sys.image.retry import Patience
from atomic_sys.model.manifest import Descriptor

PARALLEL = 6  # transfers at once, as containers/image has it


class _Stopped(AtomicSysError):
    """Another blob failed; this one is of no use any more."""


@frozen
class Transfer:
    """From where, to where, who is told, and how long a destination may take to recover."""

    origin: Origin
    destination: Destination
    report: Report
    patience: Patience
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def run(self, blobs: Sequence[Descriptor], kind: str) -> int:
        """Bring the blobs that the destination lacks; returns how many these were.

        `kind` is what to call them: `blob` or `config`. Raises the first error of any of them.
        """
        stop = threading.Event()
        with ThreadPoolExecutor(max(1, min(PARALLEL, len(blobs)))) as pool:
            # The biggest first: it is the one that everything waits for in the end.
            order = sorted(blobs, key=lambda blob: blob.size, reverse=True)
            futures = [pool.submit(self._bring, blob, kind, stop) for blob in order]
            try:
                wait(futures, return_when=FIRST_EXCEPTION)
            finally:  # also when the user interrupts the wait
                stop.set()
                for future in futures:
                    future.cancel()
        done = [future for future in futures if not future.cancelled()]
        for error in (future.exception() for future in done):
            if error is not None and not isinstance(error, _Stopped):
                raise error
        return sum(future.result() for future in done)

    def _bring(self, blob: Descriptor, kind: str, stop: threading.Event) -> bool:
        with doing(f"copying {kind} {blob.digest}"):
            if self.destination.has_blob(blob):
                self._say(f"Copying {kind} {blob.digest} skipped: already exists")
                return False
            self._say(f"Copying {kind} {blob.digest}")
            self.patience.call(lambda: self._attempt(blob, stop))
        return True

    def _say(self, line: str) -> None:
        with self._lock:
            self.report.say(line)

    def _attempt(self, blob: Descriptor, stop: threading.Event) -> None:
        with (
            self.report.transfer(blob) as advance,
            contextlib.closing(self.origin.blob(blob)) as chunks,
        ):
            self.destination.put_blob(blob, _watched(chunks, advance, stop))


def _watched(
    chunks: Generator[bytes, None, None], advance: Callable[[int], None], stop: threading.Event
) -> Iterator[bytes]:
    """The same chunks. Where the origin gives up after all its patience, nobody tries again."""
    try:
        for chunk in chunks:
            if stop.is_set():
                raise _Stopped("another blob failed")
            advance(len(chunk))
            yield chunk
    except Temporary as error:
        raise NetworkError(str(error), hint=error.hint) from error
