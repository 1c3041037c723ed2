# SPDX-License-Identifier: LGPL-2.1-or-later
"""What of a tar stream is no content of a file, told while the stream is read.

Headers, extended headers, padding and whatever ends the archive are passed on as the bytes they
are, so that with the contents in their places the archive can be made again, byte for byte.
"""

from collections.abc import Iterable, Iterator

from atomic_sys.model.layer import TarRecorder


class Watch:
    """Stands between the chunks and the TarInput that reads them."""

    __slots__ = ("_chunk", "_recorder", "_start", "_told")

    def __init__(self, recorder: TarRecorder) -> None:
        self._recorder = recorder
        self._chunk = b""
        self._start = 0  # of the chunk in the stream
        self._told = 0  # up to here the stream is content, or was passed on

    def chunks(self, chunks: Iterable[bytes]) -> Iterator[bytes]:
        """The same chunks. Whoever asks for one has been through the one before."""
        for chunk in chunks:
            self._next(chunk)
            yield chunk
        self._next(b"")

    def content(self, offset: int, size: int) -> None:
        """These bytes of the stream, which begin where the reader is, are content."""
        start = self._start
        self._recorder.before_content(self._chunk[self._told - start : offset - start])
        self._told = offset + size

    def _next(self, chunk: bytes) -> None:
        end = self._start + len(self._chunk)
        if end > self._told:
            self._recorder.literal(self._chunk[self._told - self._start :])
            self._told = end
        self._start, self._chunk = end, chunk
