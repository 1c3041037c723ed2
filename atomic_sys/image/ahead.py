# SPDX-License-Identifier: LGPL-2.1-or-later
"""Reading ahead in a thread of its own: fetching, hashing and inflating all release the GIL.

The thread ends with the generator: when that is closed early, the thread stops at its next chunk,
and nobody waits long for one that is stuck in the network.
"""

import threading
from collections.abc import Generator, Iterator
from queue import SimpleQueue

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
    """A few chunks between the thread that makes them and the one that uses them.

    Two queues that are written in C, and not a condition: for each chunk the two threads would take
    the GIL from each other some more times.
    """

    def __init__(self) -> None:
        self._ready: SimpleQueue[bytes | None] = SimpleQueue()  # None at the end
        self._room: SimpleQueue[None] = SimpleQueue()  # an item for each chunk that may lie ready
        for _ in range(DEPTH):
            self._room.put(None)
        self._stopped = False
        self._error: BaseException | None = None

    def fill(self, chunks: Generator[bytes, None, None]) -> None:
        """Run in the thread: make chunks until they end or are not wanted any more."""
        try:
            try:
                for chunk in chunks:
                    self._room.get()
                    if self._stopped:
                        break
                    self._ready.put(chunk)
            finally:
                chunks.close()
        except BaseException as caught:  # noqa: BLE001 - it is raised again in the other thread
            self._error = caught
        self._ready.put(None)

    def drain(self) -> Iterator[bytes]:
        """The chunks, as they become ready."""
        while (chunk := self._ready.get()) is not None:
            self._room.put(None)
            yield chunk
        if self._error is not None:
            raise self._error

    def stop(self) -> None:
        """Want no more chunks."""
        self._stopped = True
        self._room.put(None)
