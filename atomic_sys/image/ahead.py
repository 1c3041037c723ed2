# SPDX-License-Identifier: LGPL-2.1-or-later
"""Reading ahead in a thread of its own: fetching, hashing and inflating all release the GIL.

The thread ends with the generator: when that is closed early, the thread stops at its next chunk,
and nobody waits long for one that is stuck in the network.
"""

import threading
from collections import deque
from collections.abc import Generator, Iterator

DEPTH = 8  # chunks that lie ready at most
_GRACE = 2.0  # seconds to wait for the thread when nobody wants its chunks any more


def read_ahead(chunks: Generator[bytes, None, None]) -> Generator[bytes, None, None]:
    """The same chunks, made ahead of their use. Raises what making them raises, in its place."""
    ready = _HandOver()
    thread = threading.Thread(target=ready.fill, args=(chunks,), name="layer", daemon=True)
    thread.start()
    try:
        yield from ready.drain()
    finally:
        ready.stop()
        thread.join(_GRACE)


class _HandOver:
    """A few chunks between the thread that makes them and the one that uses them."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._chunks: deque[bytes] = deque()
        self._ended = False
        self._stopped = False
        self._error: BaseException | None = None

    def fill(self, chunks: Generator[bytes, None, None]) -> None:
        """Run in the thread: make chunks until they end or are not wanted any more."""
        error: BaseException | None = None
        try:
            try:
                for chunk in chunks:
                    if not self._put(chunk):
                        break
            finally:
                chunks.close()
        except BaseException as caught:  # noqa: BLE001 - it is raised again in the other thread
            error = caught
        with self._changed:
            self._error = error
            self._ended = True
            self._changed.notify_all()

    def drain(self) -> Iterator[bytes]:
        """The chunks, as they become ready."""
        while True:
            with self._changed:
                while not self._chunks and not self._ended:
                    self._changed.wait()
                if not self._chunks:
                    break
                chunk = self._chunks.popleft()
                self._changed.notify_all()
            yield chunk
        if self._error is not None:
            raise self._error

    def stop(self) -> None:
        """Want no more chunks."""
        with self._changed:
            self._stopped = True
            self._chunks.clear()
            self._changed.notify_all()

    def _put(self, chunk: bytes) -> bool:
        with self._changed:
            while len(self._chunks) >= DEPTH and not self._stopped:
                self._changed.wait()
            if self._stopped:
                return False
            self._chunks.append(chunk)
            self._changed.notify_all()
            return True
